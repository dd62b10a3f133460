# shellcheck shell=bash
# The cluster as local processes: bring it to what was asked, wait until it is ready, show it, stop it.

# How long all services together may take to get ready.
READY_TIMEOUT_SECONDS=${READY_TIMEOUT_SECONDS:-120}
# Lines of a crashed service's log that are shown.
CRASH_LOG_LINES=20

BUILT_APPS=(@dragonfly/manager @dragonfly/scheduler @dragonfly/seed-peer @dragonfly/peer @dragonfly/cli)

prepare_home() {
  mkdir -p "$DRAGONFLY_HOME"/{config,data,log,run} || fail "$DRAGONFLY_HOME cannot be written" "export DRAGONFLY_HOME=<a writable directory>"
  make_runtime_directory
}

# start_missing SERVICE...: writes configurations, restarts what runs with another one or older code, starts what is missing.
# Sets started_services.
start_missing() {
  local service outdated=() missing=() config
  started_services=()
  for service in "$@"; do
    if ! running_pid "$service" >/dev/null; then
      missing+=("$service")
    elif is_outdated "$service"; then
      outdated+=("$service")
    fi
  done
  if [ ${#outdated[@]} -gt 0 ]; then
    say "changed since it was started: ${outdated[*]}"
    stop_services "${outdated[@]}"
  fi
  # In the order of the arguments, which is the order of starting.
  for service in "$@"; do
    case " ${missing[*]-} ${outdated[*]-} " in *" $service "*) started_services+=("$service") ;; esac
  done
  [ ${#started_services[@]} -gt 0 ] || return 0
  check_ports "${started_services[@]}"
  for service in "${started_services[@]}"; do
    config=$(config_of "$service")
    render_config "$service" >"$config.new" && mv "$config.new" "$config"
    start_service "$service"
  done
  say "started: ${started_services[*]}"
}

# stop_surplus: stops what runs beyond the services that are wanted.
stop_surplus() {
  local service wanted surplus=()
  wanted=" $(all_services | tr '\n' ' ')"
  for service in $(known_services); do
    case $wanted in *" $service "*) ;; *) surplus+=("$service") ;; esac
  done
  [ ${#surplus[@]} -gt 0 ] || return 0
  say "no longer wanted: ${surplus[*]}"
  stop_services "${surplus[@]}"
}

# readiness SERVICE...: one line each: name, ready|waiting|silent, detail. Status 0 when all are ready.
readiness() {
  local service arguments=()
  for service in "$@"; do arguments+=("$service" "$(ready_url "$service")"); done
  node "$ROOT/deploy/local/readiness.mjs" "${arguments[@]}"
}

# fail_if_crashed SERVICE...: a service whose process is gone ends the waiting at once.
fail_if_crashed() {
  local service
  for service in "$@"; do
    running_pid "$service" >/dev/null && continue
    printf '%serror:%s %s has ended; the last lines of %s:\n' "$RED" "$PLAIN" "$service" "$(log_of "$service")" >&2
    tail -n "$CRASH_LOG_LINES" "$(log_of "$service")" | pretty_log | sed 's/^/  | /' >&2
    rm -f "$(pid_file "$service")"
    fail "$service does not run" "mend the cause and run ./run.sh again: the services that do run are kept (./run.sh stop ends them)"
  done
}

wait_until_ready() {
  local checks=0 ready total=$# answers deadline=$((SECONDS + READY_TIMEOUT_SECONDS))
  while :; do
    fail_if_crashed "$@"
    answers=$(readiness "$@") || true
    ready=$(printf '%s\n' "$answers" | awk '$2 == "ready"' | grep -c . || true)
    say "wait for all service ready: $ready/$total,$checks times check"
    [ "$ready" -lt "$total" ] || return 0
    if [ "$SECONDS" -ge "$deadline" ]; then break; fi
    checks=$((checks + 1))
    sleep 1
  done
  printf '%s\n' "$answers" | awk '$2 != "ready"' | sed 's/^/  /' >&2
  fail "not ready after $READY_TIMEOUT_SECONDS s (above: who, and what it waits for)" \
    "./run.sh logs <service> shows why; READY_TIMEOUT_SECONDS=300 ./run.sh waits longer"
}

# show_table SERVICE...: status 1 when one of them is not healthy.
show_table() {
  local service state detail unhealthy=0 colour width=9
  for service in "$@"; do if [ ${#service} -gt "$width" ]; then width=${#service}; fi; done
  printf '%s%-*s  %-36s  %-8s  %s%s\n' "$BOLD" "$width" SERVICE ADDRESS HEALTH LOG "$PLAIN"
  while read -r service state detail; do
    if ! running_pid "$service" >/dev/null; then state=down detail=''; fi
    case $state in
      ready) state=healthy colour=$GREEN ;;
      *) unhealthy=1 colour=$RED ;;
    esac
    printf '%-*s  %-36s  %s%-8s%s  %s\n' "$width" "$service" "$(address_of "$service")" "$colour" "$state" "$PLAIN" \
      "$(relative_to_here "$(log_of "$service")")"
    [ -z "$detail" ] || printf '%*s    waits for: %s\n' "$width" '' "$detail"
  done < <(readiness "$@")
  return $unhealthy
}

# pretty_log: JSON log lines from standard input, for people.
pretty_log() { node "$ROOT/deploy/local/pretty-log.mjs"; }

# relative_to_here PATH: shorter where it lies below the current directory.
relative_to_here() { say "${1#"$PWD"/}"; }

local_up() {
  local services=()
  prepare_home
  load_settings
  install_packages
  build_packages "${BUILT_APPS[@]}"
  printf 'local\n' >"$DRAGONFLY_HOME/mode"
  while read -r service; do services+=("$service"); done < <(all_services)
  stop_surplus
  start_missing "${services[@]}"
  save_settings
  socket_of peer >"$DRAGONFLY_HOME/socket"
  wait_until_ready "${services[@]}"
  say
  say "self-check: one real download through the peer"
  node "$ROOT/deploy/local/self-check.mjs" --dfget "$ROOT/bin/dfget" --socket "$(socket_of peer)" --work "$DRAGONFLY_HOME/data" ||
    fail "the cluster is up, but a download through the peer failed" "./run.sh logs peer shows why"
  say
  show_table "${services[@]}"
  say
  say "Try next:"
  say "  $(relative_to_here "$ROOT/bin/dfget") -u=http://$(bracketed "$IP"):$MANAGER_REST_PORT/swagger/doc.json -O manager-api.json"
  say "  ./run.sh demo --peers 3"
  say "The manager's interface: http://$(bracketed "$IP"):$MANAGER_REST_PORT/swagger (user root, password dragonfly)."
}

local_status() {
  local services=()
  load_settings
  while read -r service; do services+=("$service"); done < <(all_services)
  show_table "${services[@]}"
}

local_logs() {
  local files=() service
  for service in $(if [ -n "$1" ]; then say "$1"; else known_services; fi); do
    [ -f "$(log_of "$service")" ] || fail "there is no log of $service" "services: $(known_services | tr '\n' ' ')"
    files+=("$(log_of "$service")")
  done
  [ ${#files[@]} -gt 0 ] || fail "nothing has been started yet" "./run.sh"
  if [ "$2" = follow ]; then tail -n 50 -F "${files[@]}"; else tail -n 200 "${files[@]}"; fi | pretty_log
}

local_stop() {
  local services=()
  # Peers first: they say good-bye to the scheduler, and the scheduler to the manager.
  while read -r service; do [ -z "$service" ] || services+=("$service"); done < <(known_services | grep '^peer' || true)
  [ ${#services[@]} -eq 0 ] || stop_services "${services[@]}"
  for service in seed-peer scheduler manager; do
    [ ! -e "$(pid_file "$service")" ] || { stop_services "$service"; services+=("$service"); }
  done
  if [ ${#services[@]} -gt 0 ]; then say "stopped: ${services[*]}"; else say "nothing was running"; fi
  rm -f "$DRAGONFLY_HOME/socket"
  if [ -n "$(runtime_directory)" ] && [ -O "$(runtime_directory)" ]; then rm -rf "$(runtime_directory)"; fi
  rm -f "$DRAGONFLY_HOME/runtime"
}

# remove_home: what run.sh has made below DRAGONFLY_HOME, and nothing else that may lie there.
remove_home() {
  local name
  for name in config data log run settings compose.env mode socket runtime lock; do rm -rf "${DRAGONFLY_HOME:?}/$name"; done
  rmdir "$DRAGONFLY_HOME" 2>/dev/null || warn "$DRAGONFLY_HOME holds files that are not run.sh's; they are left there"
  say "removed: $(relative_to_here "$DRAGONFLY_HOME")"
}
