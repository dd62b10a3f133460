#!/usr/bin/env bash
# All checks of the project, from a clean clone: `./test.sh`. `./test.sh --help` says what can be chosen.
# The last line is always `N passed, N failed, N skipped`; the exit status is 0 only when nothing failed.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=deploy/scripts/output.sh
. "$ROOT/deploy/scripts/output.sh"
# shellcheck source=deploy/scripts/bootstrap.sh
. "$ROOT/deploy/scripts/bootstrap.sh"

case ${1:-} in
  -h | --help | help)
    cat <<'USAGE'
./test.sh [--only PACKAGE] [--no-e2e] [--long] [--compat DIRECTORY]

  --only PACKAGE       only the tests of this package (ids, scheduler, e2e ...; may be repeated), without the static checks
  --no-e2e             without the tests of whole clusters (e2e, chaos)
  --long               soaks at their full length (DRAGONFLY_TEST_LONG=1)
  --compat DIRECTORY   also against the real programs of Dragonfly's client in that directory: dfdaemon, dfget, dfctl (DRAGONFLY_REAL_BIN)

Order: format, lint, wire definitions, types, then unit and integration tests package by package, then end to end.
Redis, MariaDB and Docker are used when they are there; what is skipped says why.
USAGE
    exit 0
    ;;
esac

# Whatever ends this early must still end with the line that tools look for.
give_up() {
  local status=$?
  [ "$status" = 0 ] || [ -n "${reached_tests:-}" ] || say '0 passed, 1 failed, 0 skipped'
}
trap give_up EXIT

cd "$ROOT"
bootstrap_toolchain
install_packages
# shellcheck disable=SC2119 # none named: all packages
build_packages
reached_tests=yes
exec node tools/test/run.mjs "$@"
