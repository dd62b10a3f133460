# shellcheck shell=bash
# Addresses, ports and places of the local cluster: every one a variable that may be exported before ./run.sh.
# What a run used is recorded in the cluster's directory, so that status, demo and stop find the same cluster again.
# Order: exported variable, then the recorded value, then the default.

# Directory of the cluster: configuration, data, logs. Export it to run a second cluster (with other ports) beside the first.
DRAGONFLY_HOME=${DRAGONFLY_HOME:-$ROOT/.dragonfly}
case $DRAGONFLY_HOME in /*) ;; *) DRAGONFLY_HOME=$PWD/$DRAGONFLY_HOME ;; esac

# name=default, one a line. The ports are those of the documents; peers beyond the first: EXTRA_PEER_PORT_BASE + 10·n + offset.
SETTINGS='
IP=127.0.0.1
LISTEN_IP=
PEERS=1
MANAGER_REST_PORT=8080
MANAGER_GRPC_PORT=65003
MANAGER_METRICS_PORT=8001
SCHEDULER_GRPC_PORT=8002
SCHEDULER_METRICS_PORT=8000
SEED_PEER_GRPC_PORT=65006
SEED_PEER_PIECE_PORT=65008
SEED_PEER_HEALTH_PORT=65013
SEED_PEER_METRICS_PORT=65014
PEER_GRPC_PORT=65000
PEER_PIECE_PORT=65002
PEER_HEALTH_PORT=65010
PEER_METRICS_PORT=65011
EXTRA_PEER_PORT_BASE=64000
'

# More peers than this have no ports in the table above.
MAX_PEERS=99

setting_names() { printf '%s' "$SETTINGS" | sed -n 's/=.*//p'; }

recorded_value() { sed -n "s/^$1=//p" "$DRAGONFLY_HOME/settings" 2>/dev/null || true; }

# Fills every variable of SETTINGS and checks it. PEERS may be overridden by --peers (requested_peers).
load_settings() {
  local name default
  while IFS='=' read -r name default; do
    [ -n "$name" ] || continue
    [ -n "${!name:-}" ] || printf -v "$name" '%s' "$(recorded_value "$name")"
    [ -n "${!name:-}" ] || printf -v "$name" '%s' "$default"
  done <<<"$SETTINGS"
  [ -z "${requested_peers:-}" ] || PEERS=$requested_peers

  is_ip_address "$IP" || fail "IP=$IP is not an IPv4 or IPv6 address" "export IP=<address of this machine that the other hosts reach>"
  for name in $(setting_names); do
    case $name in
      *_PORT) is_whole_number "${!name}" 1 65535 || fail "$name=${!name} is not a port (1..65535)" ;;
      *_BASE) is_whole_number "${!name}" 1 64500 || fail "$name=${!name} is not a port that leaves room for $MAX_PEERS peers (1..64500)" ;;
    esac
  done
  is_whole_number "$PEERS" 1 "$MAX_PEERS" || fail "--peers $PEERS is not a number of peers (1..$MAX_PEERS)"
}

# A loopback address is served on loopback only; any other one on all interfaces, unless LISTEN_IP says where.
listen_ip() {
  if [ -n "$LISTEN_IP" ]; then say "$LISTEN_IP"; else
    case $IP in 127.*) say "$IP" ;; ::1) say ::1 ;; *:*) say :: ;; *) say 0.0.0.0 ;; esac
  fi
}

# Where this machine itself reaches a service that listens on listen_ip.
local_ip() { case $(listen_ip) in 0.0.0.0) say 127.0.0.1 ;; ::) say ::1 ;; *) listen_ip ;; esac; }

# bracketed ADDRESS: as it stands in host:port and URLs.
bracketed() { case $1 in *:*) say "[$1]" ;; *) say "$1" ;; esac; }

save_settings() {
  local name
  for name in $(setting_names); do printf '%s=%s\n' "$name" "${!name}"; done >"$DRAGONFLY_HOME/settings.new"
  mv "$DRAGONFLY_HOME/settings.new" "$DRAGONFLY_HOME/settings"
}

is_whole_number() {
  case $1 in '' | *[!0-9]* | ??????*) return 1 ;; esac
  [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

is_ip_address() {
  case $1 in
    *[!0-9A-Fa-f:.]* | '') return 1 ;;
    *:*) return 0 ;;
    *) printf '%s\n' "$1" | awk -F. 'NF != 4 { exit 1 } { for (i = 1; i <= 4; i++) if ($i !~ /^[0-9]+$/ || $i > 255) exit 1 }' ;;
  esac
}

# all_services [PEERS]: the names of the services, in the order in which they are started.
all_services() {
  local n
  say manager
  say scheduler
  say seed-peer
  say peer
  for ((n = 2; n <= ${1:-$PEERS}; n++)); do say "peer-$n"; done
}

# role_of SERVICE: which program and which template it runs.
role_of() { case $1 in peer | peer-*) say peer ;; *) say "$1" ;; esac; }

# port_of SERVICE KIND: KIND is GRPC, REST, PIECE, HEALTH or METRICS.
port_of() {
  local service=$1 kind=$2 offset name
  case $service in
    peer-*)
      case $kind in GRPC) offset=0 ;; PIECE) offset=2 ;; HEALTH) offset=5 ;; METRICS) offset=6 ;; esac
      say $((EXTRA_PEER_PORT_BASE + 10 * ${service#peer-} + offset))
      ;;
    *)
      name=$(printf '%s' "$service" | tr 'a-z-' 'A-Z_')_${kind}_PORT
      say "${!name}"
      ;;
  esac
}

# port_kinds SERVICE: the kinds of ports that it listens on.
port_kinds() {
  case $(role_of "$1") in
    manager) say 'REST GRPC METRICS' ;;
    scheduler) say 'GRPC METRICS' ;;
    *) say 'GRPC PIECE HEALTH METRICS' ;;
  esac
}

# ready_url SERVICE: where the service says whether it is ready, and why not.
ready_url() {
  case $(role_of "$1") in
    manager) say "http://$(bracketed "$(local_ip)"):$(port_of "$1" REST)/readyz" ;;
    scheduler) say "http://127.0.0.1:$(port_of "$1" METRICS)/readyz" ;;
    *) say "http://127.0.0.1:$(port_of "$1" HEALTH)/readyz" ;;
  esac
}

# address_of SERVICE: what a person or another service connects to.
address_of() {
  case $1 in
    manager) say "http://$(bracketed "$IP"):$MANAGER_REST_PORT grpc $MANAGER_GRPC_PORT" ;;
    *) say "$(bracketed "$IP"):$(port_of "$1" GRPC)" ;;
  esac
}

# host_name_of SERVICE: the machine's short name with the service's, a valid DNS label of at most 63 characters.
host_name_of() {
  local suffix=-$1 base
  base=$(hostname 2>/dev/null || uname -n)
  base=$(printf '%s' "${base%%.*}" | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9-' '-' | sed 's/^-*//')
  base=${base:-host}
  say "${base:0:$((63 - ${#suffix}))}$suffix"
}

config_of() { say "$DRAGONFLY_HOME/config/$1.yaml"; }
log_of() { say "$DRAGONFLY_HOME/log/$1.log"; }
socket_of() { say "$(runtime_directory)/$1/dfdaemon.sock"; }

# Directory of the unix sockets. Their paths may not be longer than 107 bytes, so it lies in the system's runtime directory
# under a short name that is made once and recorded.
runtime_directory() { cat "$DRAGONFLY_HOME/runtime" 2>/dev/null || true; }

# 107 bytes less the longest tail: /dragonfly.XXXXXX/seed-peer/dfdaemon.light.sock
SOCKET_PARENT_MAX_LENGTH=60

make_runtime_directory() {
  local directory parent
  directory=$(runtime_directory)
  if [ -n "$directory" ] && [ -d "$directory" ] && [ -O "$directory" ]; then return; fi
  for parent in "${XDG_RUNTIME_DIR:-}" "${TMPDIR:-}" /tmp; do
    if [ ! -d "$parent" ] || [ ! -w "$parent" ] || [ "${#parent}" -gt "$SOCKET_PARENT_MAX_LENGTH" ]; then continue; fi
    directory=$(mktemp -d "${parent%/}/dragonfly.XXXXXX") || continue
    printf '%s\n' "$directory" >"$DRAGONFLY_HOME/runtime"
    return
  done
  fail "no directory for unix sockets can be made" "export TMPDIR=<a writable directory with a short path>"
}

# render_config SERVICE: its configuration, the template's __NAME__ replaced. Texts stand in single quotes there.
render_config() {
  local service=$1 role name names=() values=() line i
  role=$(role_of "$service")
  add() { names+=("__$1__") values+=("$2"); }
  add IP "$IP"
  add IP_HOST "$(bracketed "$IP")"
  add LISTEN_IP "$(listen_ip)"
  add LISTEN_HOST "$(bracketed "$(listen_ip)")"
  add ENABLE_IPV6 "$(case $IP in *:*) say true ;; *) say false ;; esac)"
  add HOSTNAME "$(host_name_of "$service")"
  add DATA_DIR "$(yaml_escape "$DRAGONFLY_HOME/data/$service")"
  add SOCKET "$(yaml_escape "$(socket_of "$service")")"
  add MANAGER_GRPC_PORT "$MANAGER_GRPC_PORT"
  for name in $(port_kinds "$service"); do add "${name}_PORT" "$(port_of "$service" "$name")"; done
  while IFS= read -r line || [ -n "$line" ]; do
    for ((i = 0; i < ${#names[@]}; i++)); do line=${line//"${names[i]}"/"${values[i]}"}; done
    printf '%s\n' "$line"
  done <"$ROOT/deploy/local/templates/$role.yaml"
}

# yaml_escape TEXT: as it stands between single quotes in YAML.
yaml_escape() { printf '%s' "$1" | sed "s/'/''/g"; }
