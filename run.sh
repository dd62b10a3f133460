#!/usr/bin/env bash
# Starts Dragonfly on this machine and shows that it works. `./run.sh help` says everything it can do.
# The parts are in deploy/local/ (processes), deploy/compose/ (containers) and deploy/scripts/ (what test.sh needs too).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=deploy/scripts/output.sh
. "$ROOT/deploy/scripts/output.sh"
# shellcheck source=deploy/scripts/bootstrap.sh
. "$ROOT/deploy/scripts/bootstrap.sh"
# shellcheck source=deploy/local/settings.sh
. "$ROOT/deploy/local/settings.sh"
# shellcheck source=deploy/local/service.sh
. "$ROOT/deploy/local/service.sh"
# shellcheck source=deploy/local/cluster.sh
. "$ROOT/deploy/local/cluster.sh"
# shellcheck source=deploy/local/demo.sh
. "$ROOT/deploy/local/demo.sh"
# shellcheck source=deploy/compose/compose.sh
. "$ROOT/deploy/compose/compose.sh"

usage() {
  cat <<'USAGE'
Dragonfly: distributes files from peer to peer.

  ./run.sh [--local | --docker] [--peers N]   start what is missing, wait until all is ready, download one file as a check
  ./run.sh demo [FILE | URL] [--peers N]      one real file to N peers at once (default: the Node binary, 3 peers): who got what from whom
  ./run.sh status                             table of the services; status 1 when one is down
  ./run.sh logs [SERVICE] [-f]                last log lines; -f follows
  ./run.sh stop                               stop everything; data stays
  ./run.sh clean                              stop, and remove data, logs and configuration

  --local     processes on this machine, embedded database: nothing to install
  --docker    six containers (redis, mysql, manager, scheduler, seed-peer, peer) by docker compose
              default: what was used last; else containers when a Docker engine answers and has the images, else processes
  --peers N   number of peers, 1 to 99 (means local mode; default 1)

Variables (export them before; the values of a run are remembered until `clean`):
USAGE
  printf '%s' "$SETTINGS" | sed -n 's/^\([A-Z].*\)/  \1/p'
  cat <<'USAGE'
  DRAGONFLY_HOME=./.dragonfly     data, logs and configuration of the cluster
  READY_TIMEOUT_SECONDS=120       how long to wait until all is ready
IP is the address that the services tell each other: with one that other hosts reach, they can join.
LISTEN_IP is by default loopback for a loopback IP, else all interfaces.
USAGE
}

usage_error() { fail "$1" "./run.sh help shows what there is"; }

command=up mode='' requested_peers='' follow='' subject=''
case ${1:-} in
  up | demo | status | logs | stop | clean | help) command=$1 && shift ;;
  -h | --help) command=help && shift ;;
esac
while [ $# -gt 0 ]; do
  case $1 in
    --local) mode=local ;;
    --docker) mode=docker ;;
    --peers)
      [ $# -ge 2 ] || usage_error "--peers needs a number"
      requested_peers=$2 && shift
      ;;
    --peers=*) requested_peers=${1#*=} ;;
    -f | --follow) follow=follow ;;
    -h | --help) command=help ;;
    -*) usage_error "unknown option $1" ;;
    *)
      [ -z "$subject" ] || usage_error "one argument too many: $1"
      subject=$1
      ;;
  esac
  shift
done
case $command in
  demo | logs) ;;
  *) [ -z "$subject" ] || usage_error "unknown command $subject" ;;
esac
if [ -n "$requested_peers" ] && ! is_whole_number "$requested_peers" 1 "$MAX_PEERS"; then
  fail "--peers $requested_peers is not a number of peers (1..$MAX_PEERS)"
fi

recorded_mode() { cat "$DRAGONFLY_HOME/mode" 2>/dev/null || true; }

# Only one run at a time may change a cluster.
hold_cluster() {
  mkdir -p "$DRAGONFLY_HOME"
  lock_acquire "$DRAGONFLY_HOME/lock"
  trap 'lock_release "$DRAGONFLY_HOME/lock"' EXIT
}

case $command in
  help) usage ;;
  up)
    hold_cluster
    [ -n "$mode" ] || mode=$(recorded_mode)
    # A number of peers is a wish that only local mode can fulfil.
    [ -n "$mode" ] || [ -z "$requested_peers" ] || mode=local
    [ -n "$mode" ] || mode=$(compose_or_local)
    if [ -n "$(recorded_mode)" ] && [ "$mode" != "$(recorded_mode)" ]; then
      say "the cluster ran in $(recorded_mode) mode; that is stopped first"
      "$(recorded_mode)_stop"
    fi
    [ "$mode" = docker ] || bootstrap_toolchain
    "${mode}_up"
    ;;
  demo)
    hold_cluster
    bootstrap_toolchain
    run_demo "$subject"
    ;;
  status)
    [ -n "$(recorded_mode)" ] || fail "nothing has been started yet" "./run.sh"
    bootstrap_toolchain
    "$(recorded_mode)_status"
    ;;
  logs)
    [ -n "$(recorded_mode)" ] || fail "nothing has been started yet" "./run.sh"
    bootstrap_toolchain
    "$(recorded_mode)_logs" "$subject" "$follow"
    ;;
  stop | clean)
    if [ -d "$DRAGONFLY_HOME" ]; then
      hold_cluster
      case $(recorded_mode) in
        docker) docker_stop "$command" ;;
        *) local_stop ;;
      esac
      if [ "$command" = clean ]; then
        remove_home
      fi
    else
      say "nothing was running"
    fi
    ;;
esac
