# shellcheck shell=bash
# The demonstration: as many peers as asked for download one file at once; peers that were missing are stopped afterwards.

# Peers of a demonstration when nobody says how many.
DEMO_PEERS=3

is_cluster_running() {
  local service
  for service in $(all_services); do running_pid "$service" >/dev/null || return 1; done
}

# run_demo [FILE | URL]
run_demo() {
  local source=$1 count=${requested_peers:-$DEMO_PEERS} services=() missing=() peers=() service status=0
  case $source in
    '' | http://* | https://*) ;;
    *) if [ ! -r "$source" ] || [ -d "$source" ]; then fail "$source is neither a readable file nor an http(s) URL"; fi ;;
  esac
  # The number of peers that the cluster keeps is not the demonstration's to change.
  requested_peers=''
  if [ "$(recorded_mode)" = docker ]; then
    docker_demo "$source" "$count"
    return
  fi
  prepare_home
  load_settings
  if ! is_cluster_running; then
    say "the cluster does not run, so it is started first"
    local_up
    say
  fi

  while read -r service; do
    services+=("$service")
    case $service in peer | peer-*) peers+=(--peer "$service=$(socket_of "$service")") ;; esac
    running_pid "$service" >/dev/null || missing+=("$service")
  done < <(all_services "$count")
  if [ ${#missing[@]} -gt 0 ]; then
    # Also when the demonstration is interrupted.
    trap 'stop_services '"${missing[*]}"'; lock_release "$DRAGONFLY_HOME/lock"' EXIT
    start_missing "${missing[@]}"
    wait_until_ready "${services[@]}"
    say
  fi
  node "$ROOT/deploy/local/demo.mjs" --dfget "$ROOT/bin/dfget" --work "$DRAGONFLY_HOME/data" ${source:+--source "$source"} "${peers[@]}" ||
    status=$?
  if [ ${#missing[@]} -gt 0 ]; then
    say
    stop_services "${missing[@]}"
    say "stopped: ${missing[*]} (started for the demonstration)"
  fi
  [ "$status" = 0 ] || fail "the demonstration did not go as it should" "./run.sh logs shows what the services say"
}
