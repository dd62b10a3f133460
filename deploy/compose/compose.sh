# shellcheck shell=bash
# The cluster as containers, by docker compose: the same lines, table and self-check as the local one.

# The services a user sees; `secrets` runs once and is gone.
COMPOSE_SERVICES=(redis mysql manager scheduler seed-peer peer)
BASE_IMAGES=(node:24-bookworm-slim mariadb:10.11 redis:7)

# Sets compose_command: the plugin, or the program of its first version where the plugin is missing.
find_compose() {
  if docker compose version >/dev/null 2>&1; then
    compose_command=(docker compose)
  elif command -v docker-compose >/dev/null 2>&1; then
    compose_command=(docker-compose)
  else
    return 1
  fi
}

compose() { "${compose_command[@]}" --project-directory "$ROOT" --file "$ROOT/docker-compose.yaml" "$@"; }

need_docker() {
  command -v docker >/dev/null 2>&1 || fail "docker is not installed" "./run.sh --local needs no Docker"
  docker info >/dev/null 2>&1 || fail "no Docker engine answers" "start it (or join its group), or use ./run.sh --local"
  find_compose || fail "neither \`docker compose\` nor docker-compose is installed" "install the compose plugin, or use ./run.sh --local"
}

# compose_or_local: which of the two, for a user who did not say. Containers only where they can really be started.
compose_or_local() {
  local image
  if ! command -v docker >/dev/null 2>&1 || ! docker info >/dev/null 2>&1 || ! find_compose; then
    say local
    return
  fi
  for image in "${BASE_IMAGES[@]}"; do
    docker image inspect "$image" >/dev/null 2>&1 && continue
    printf 'fetching the image %s ... ' "$image" >&2
    if ! docker pull --quiet "$image" >/dev/null 2>&1; then
      printf 'failed: starting local processes instead (--docker insists)\n' >&2
      say local
      return
    fi
    printf 'done\n' >&2
  done
  say docker
}

container_of() { compose ps -q "$1" 2>/dev/null | head -n 1; }

# health_of SERVICE: healthy, starting, unhealthy, or the state of a container that does not run; `down` without a container.
health_of() {
  local container
  container=$(container_of "$1")
  if [ -z "$container" ]; then
    say down
  else
    docker inspect --format '{{if ne .State.Status "running"}}{{.State.Status}}{{else if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' "$container"
  fi
}

# docker_up: compose itself waits for one service after the other; meanwhile the waiting lines tell how far it is.
docker_up() {
  local log service state checks=0 ready deadline up_pid
  need_docker
  [ -z "$requested_peers" ] || fail "--peers is for local mode" "./run.sh --local --peers $requested_peers"
  mkdir -p "$DRAGONFLY_HOME/log"
  printf 'docker\n' >"$DRAGONFLY_HOME/mode"
  export_compose_settings
  say "using ${compose_command[*]}"
  run_quietly "building the images" compose build
  log=$DRAGONFLY_HOME/log/compose.log
  compose up -d >"$log" 2>&1 </dev/null &
  up_pid=$!
  deadline=$((SECONDS + READY_TIMEOUT_SECONDS * 2))
  while :; do
    ready=0
    for service in "${COMPOSE_SERVICES[@]}"; do
      state=$(health_of "$service")
      case $state in
        healthy) ready=$((ready + 1)) ;;
        exited | dead) docker_crashed "$service" ;;
      esac
    done
    say "wait for all service ready: $ready/${#COMPOSE_SERVICES[@]},$checks times check"
    [ "$ready" -lt ${#COMPOSE_SERVICES[@]} ] || break
    if [ -n "$up_pid" ] && ! kill -0 "$up_pid" 2>/dev/null; then
      wait "$up_pid" || {
        tail -n "$CRASH_LOG_LINES" "$log" | sed 's/^/  | /' >&2
        fail "compose could not start the services" "a port that is in use can be changed, e.g. MYSQL_PORT=13306 ./run.sh --docker"
      }
      up_pid=''
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      docker_table >&2 || true
      fail "not ready in time" "./run.sh logs <service> shows why"
    fi
    checks=$((checks + 1))
    sleep 2
  done
  [ -z "$up_pid" ] || wait "$up_pid" || true
  say
  bootstrap_toolchain
  say "self-check: one real download through the peer"
  node "$ROOT/deploy/local/self-check.mjs" --container "$(container_of peer)" --host "$(gateway_address)" ||
    fail "the cluster is up, but a download through the peer failed" "./run.sh logs peer shows why"
  say
  docker_table
  say
  say "Try next:"
  say "  ${compose_command[*]} exec peer dfget -u=http://manager:8080/swagger/doc.json"
  say "  ./run.sh demo --peers 3"
  say "The manager's interface: http://$(bracketed "${IP:-127.0.0.1}"):${MANAGER_REST_PORT:-8080}/swagger (user root, password dragonfly)."
}

# The variables of docker-compose.yaml that a user may export, one a line.
compose_variables() {
  printf 'IP\nBIND_IP\n'
  sed -n 's/.*${\([A-Z_]*_PORT\):-.*/\1/p' "$ROOT/docker-compose.yaml" | sort -u
}

# Exports those variables as they were at the last start unless they are exported anew, and records them.
export_compose_settings() {
  local name
  for name in $(compose_variables); do
    if [ -z "${!name:-}" ]; then
      printf -v "$name" '%s' "$(sed -n "s/^$name=//p" "$DRAGONFLY_HOME/compose.env" 2>/dev/null || true)"
    fi
    if [ -n "${!name}" ]; then export "${name?}"; else unset "$name"; fi
  done
  for name in $(compose_variables); do
    if [ -n "${!name:-}" ]; then printf '%s=%s\n' "$name" "${!name}"; fi
  done >"$DRAGONFLY_HOME/compose.env"
}

docker_crashed() {
  printf '%serror:%s %s has ended; its last lines:\n' "$RED" "$PLAIN" "$1" >&2
  docker logs --tail "$CRASH_LOG_LINES" "$(compose ps -aq "$1")" 2>&1 | pretty_log | sed 's/^/  | /' >&2
  fail "$1 does not run" "mend the cause and run ./run.sh again"
}

# Address of this machine in the containers' network: where they reach an origin that runs here.
gateway_address() {
  docker inspect --format '{{range .NetworkSettings.Networks}}{{.Gateway}}{{"\n"}}{{end}}' "$(container_of peer)" | head -n 1
}

docker_table() {
  local service state colour unhealthy=0 ports
  printf '%s%-9s  %-9s  %-44s  %s%s\n' "$BOLD" SERVICE HEALTH 'PUBLISHED PORTS' LOG "$PLAIN"
  for service in "${COMPOSE_SERVICES[@]}"; do
    state=$(health_of "$service")
    ports=$(docker port "$(container_of "$service")" 2>/dev/null | sed 's/.* -> //' | grep -v '^\[' | sort -u | tr '\n' ' ' || true)
    case $state in healthy) colour=$GREEN ;; *) colour=$RED unhealthy=1 ;; esac
    printf '%-9s  %s%-9s%s  %-44s  %s\n' "$service" "$colour" "$state" "$PLAIN" "$ports" "./run.sh logs $service"
  done
  return $unhealthy
}

docker_status() {
  need_docker
  export_compose_settings
  docker_table
}

docker_logs() {
  need_docker
  export_compose_settings
  compose logs --tail 200 ${2:+--follow} ${1:+"$1"}
}

# docker_stop [clean]: with `clean` the data and the passwords go too.
docker_stop() {
  need_docker
  export_compose_settings
  if [ "${1:-}" = clean ]; then
    run_quietly "removing containers and volumes" compose down --volumes --timeout "$STOP_TIMEOUT_SECONDS"
  else
    run_quietly "stopping containers" compose stop --timeout "$STOP_TIMEOUT_SECONDS"
  fi
}

# Containers of further peers that a demonstration has started.
demo_containers=()

# docker_demo SOURCE COUNT: further peers are containers beside the cluster's own, removed afterwards.
docker_demo() {
  local source=$1 count=$2 n container peers=() network
  need_docker
  export_compose_settings
  container=$(container_of peer)
  if [ -z "$container" ] || [ "$(health_of peer)" != healthy ]; then
    say "the cluster does not run, so it is started first"
    docker_up
    say
    container=$(container_of peer)
  fi
  peers=(--container "peer=$container")
  network=$(docker inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{"\n"}}{{end}}' "$container" | head -n 1)
  # Also when the demonstration is interrupted.
  trap 'remove_demo_containers; lock_release "$DRAGONFLY_HOME/lock"' EXIT
  for ((n = 2; n <= count; n++)); do
    # No published ports: other containers of the network reach it at its own address.
    container=$(docker run --detach --network "$network" --hostname "peer-$n" \
      "$(docker inspect --format '{{.Config.Image}}' "$(container_of peer)")")
    demo_containers+=("$container")
    peers+=(--container "peer-$n=$container")
  done
  [ ${#demo_containers[@]} -eq 0 ] || wait_for_containers "${demo_containers[@]}"
  node "$ROOT/deploy/local/demo.mjs" --host "$(gateway_address)" --work "$DRAGONFLY_HOME" ${source:+--source "$source"} "${peers[@]}" ||
    fail "the demonstration did not go as it should" "./run.sh logs shows what the services say"
}

wait_for_containers() {
  local container ready checks=0 deadline=$((SECONDS + READY_TIMEOUT_SECONDS))
  while :; do
    ready=0
    for container in "$@"; do
      if [ "$(docker inspect --format '{{.State.Health.Status}}' "$container")" = healthy ]; then ready=$((ready + 1)); fi
    done
    say "wait for all service ready: $ready/$#,$checks times check"
    [ "$ready" -lt $# ] || return 0
    [ "$SECONDS" -lt "$deadline" ] || fail "the further peers are not ready after $READY_TIMEOUT_SECONDS s"
    checks=$((checks + 1))
    sleep 2
  done
}

remove_demo_containers() {
  [ ${#demo_containers[@]} -eq 0 ] || docker rm --force --volumes "${demo_containers[@]}" >/dev/null
}
