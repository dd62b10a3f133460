# shellcheck shell=bash
# One service as a background process: start, find, stop. Nothing here touches a process that is not this cluster's own.

# How long a service may take to end after SIGTERM before it is killed.
STOP_TIMEOUT_SECONDS=${STOP_TIMEOUT_SECONDS:-20}
# A log that is longer than this when its service starts is set aside as <name>.log.1.
LOG_ROTATE_BYTES=52428800

pid_file() { say "$DRAGONFLY_HOME/run/$1.pid"; }

# command_line PID: as the system knows it; empty for a process that is gone or a zombie.
command_line() {
  if [ -r "/proc/$1/cmdline" ]; then
    tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null
  else
    ps -o command= -p "$1" 2>/dev/null
  fi
}

# is_ours PID SERVICE: whether the process runs exactly this service of this cluster. A number in a pid file alone proves
# nothing: the process may have ended and its number may have been given to another.
is_ours() {
  case $(command_line "$1") in *" --config $(config_of "$2") "*) return 0 ;; *) return 1 ;; esac
}

# running_pid SERVICE: its process id, or nothing (status 1).
running_pid() {
  local pid
  pid=$(cat "$(pid_file "$1")" 2>/dev/null) && [ -n "$pid" ] && is_ours "$pid" "$1" && say "$pid"
}

# known_services: every service that this cluster has ever started and not stopped, also those beyond PEERS.
known_services() {
  local file
  for file in "$DRAGONFLY_HOME"/run/*.pid; do
    [ -e "$file" ] || continue
    file=${file##*/}
    say "${file%.pid}"
  done
}

# young_generation SERVICE: the flag that bounds the young generation of its heap, in MiB. By itself Node sizes it by the
# memory of the machine: up to 60 MiB a process without use. The scheduler, which makes most garbage, gets more. Measured
# in docs/PERFORMANCE.md.
young_generation() {
  case $(role_of "$1") in
    scheduler) say --max-semi-space-size=16 ;;
    *) say --max-semi-space-size=4 ;;
  esac
}

entry_point() { say "$ROOT/apps/$(role_of "$1")/dist/main.js"; }

# How long a new process may take to become the service's program (the shell forks first).
EXEC_TIMEOUT_SECONDS=10

start_service() {
  local service=$1 log new_session='' pid deadline
  log=$(log_of "$service")
  mkdir -p "$DRAGONFLY_HOME/data/$service" "$DRAGONFLY_HOME/log" "$DRAGONFLY_HOME/run"
  case $(role_of "$service") in peer | seed-peer) mkdir -p "$(dirname "$(socket_of "$service")")" ;; esac
  if [ -f "$log" ] && [ "$(wc -c <"$log")" -gt "$LOG_ROTATE_BYTES" ]; then mv "$log" "$log.1"; fi
  # A session of its own, so that Ctrl-C in this terminal and the end of it leave the service running.
  if command -v setsid >/dev/null 2>&1; then new_session=setsid; fi
  : >>"$log"
  # DRAGONFLY_HOME is ours; to the services every DRAGONFLY_ variable is a configuration key.
  # The trailing --console also ends the argument that is_ours looks for.
  # shellcheck disable=SC2086 # empty where there is no setsid
  env -u DRAGONFLY_HOME nohup $new_session node "$(young_generation "$service")" "$(entry_point "$service")" \
    --config "$(config_of "$service")" --console >>"$log" 2>&1 </dev/null &
  pid=$!
  printf '%s\n' "$pid" >"$(pid_file "$service")"
  # Until then it is a copy of this shell, and nobody could tell it from a stranger.
  deadline=$((SECONDS + EXEC_TIMEOUT_SECONDS))
  until is_ours "$pid" "$service" || ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; do sleep 0.02; done
}

# signal_service SERVICE SIGNAL: only to a process that is verified to be the service.
signal_service() {
  local pid
  pid=$(running_pid "$1") && kill "-$2" "$pid" 2>/dev/null
}

# stop_services SERVICE...: all at once, SIGTERM first, SIGKILL to what has not ended in time.
stop_services() {
  local service waited=0 left
  for service in "$@"; do signal_service "$service" TERM || true; done
  while :; do
    left=''
    for service in "$@"; do
      if running_pid "$service" >/dev/null; then left="$left $service"; else rm -f "$(pid_file "$service")"; fi
    done
    [ -n "$left" ] || return 0
    if [ "$waited" -ge $((STOP_TIMEOUT_SECONDS * 10)) ]; then break; fi
    sleep 0.1
    waited=$((waited + 1))
  done
  for service in $left; do
    warn "$service did not end within $STOP_TIMEOUT_SECONDS s of SIGTERM and is killed; see $(log_of "$service")"
    signal_service "$service" KILL || true
    while running_pid "$service" >/dev/null; do sleep 0.05; done
    rm -f "$(pid_file "$service")"
  done
}

# is_outdated SERVICE: whether it runs with another configuration or older code than there is now.
is_outdated() {
  local service=$1 pid_file
  pid_file=$(pid_file "$service")
  [ "$(render_config "$service")" = "$(cat "$(config_of "$service")" 2>/dev/null)" ] || return 0
  [ -n "$(find "$ROOT/apps/$(role_of "$service")/dist" "$ROOT"/libs/*/dist -name '*.js' -newer "$pid_file" 2>/dev/null | head -n 1)" ]
}

# Characters of a foreign command line that are shown.
SHOWN_COMMAND_LENGTH=90

# port_holder PORT: who listens there, in words; empty when the system does not tell.
port_holder() {
  local pid=''
  if command -v ss >/dev/null 2>&1; then
    pid=$(ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1)
  elif command -v lsof >/dev/null 2>&1; then
    pid=$(lsof -nP -t -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | head -n 1)
  fi
  [ -z "$pid" ] || printf 'pid %s: %.*s' "$pid" "$SHOWN_COMMAND_LENGTH" "$(command_line "$pid")"
}

# check_ports SERVICE...: ends the script when one of the ports that these services need is taken.
check_ports() {
  local service kind host busy=0 holder port reason arguments=()
  for service in "$@"; do
    for kind in $(port_kinds "$service"); do
      case $kind in METRICS | HEALTH) host=127.0.0.1 ;; *) host=$(listen_ip) ;; esac
      arguments+=("$service" "$kind" "$host" "$(port_of "$service" "$kind")")
    done
  done
  while read -r service kind port reason; do
    [ -n "$service" ] || continue
    busy=1
    holder=$(port_holder "$port")
    printf '%serror:%s port %s, which %s needs (%s), is %s%s\n' "$RED" "$PLAIN" "$port" "$service" "$kind" "$reason" \
      "${holder:+, held by $holder}" >&2
  done < <(node "$ROOT/deploy/local/check-ports.mjs" "${arguments[@]}")
  [ "$busy" = 0 ] || fail "nothing was started" \
    "end what holds the port, or choose another one, e.g. MANAGER_REST_PORT=18080 ./run.sh --local (the names: ./run.sh help)"
}
