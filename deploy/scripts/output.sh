# shellcheck shell=bash
# What every script of this project says, and how it ends. Sourced; changes no state of its own.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  BOLD=$(printf '\033[1m') DIM=$(printf '\033[2m') RED=$(printf '\033[31m') GREEN=$(printf '\033[32m') PLAIN=$(printf '\033[0m')
else
  BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi
export BOLD DIM RED GREEN PLAIN

say() { printf '%s\n' "$*"; }

# warn MESSAGE: something the reader should know and that stops nothing.
warn() { printf '%swarning:%s %s\n' "$BOLD" "$PLAIN" "$*" >&2; }

# fail MESSAGE [WHAT TO DO]: ends the script with status 1.
fail() {
  printf '%serror:%s %s\n' "$RED" "$PLAIN" "$1" >&2
  [ -z "${2:-}" ] || printf '  %s\n' "$2" >&2
  exit 1
}

# run_quietly TITLE COMMAND...: one line while it goes well, the whole output and an exit when it does not.
run_quietly() {
  local title=$1 log started=$SECONDS
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/dragonfly-step.XXXXXX") || fail "no temporary file can be made in ${TMPDIR:-/tmp}"
  printf '%s ... ' "$title"
  if "$@" >"$log" 2>&1 </dev/null; then
    printf 'done (%s s)\n' "$((SECONDS - started))"
    rm -f "$log"
    return 0
  fi
  printf 'failed\n'
  tail -n 60 "$log" >&2
  rm -f "$log"
  fail "$title failed; the command was: $*"
}

# lock_acquire DIRECTORY: waits while another living process holds the lock (bounded), takes over one whose holder is gone.
lock_acquire() {
  local lock=$1 holder waited=0
  until mkdir "$lock" 2>/dev/null; do
    holder=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
      rm -rf "$lock"
      continue
    fi
    [ "$waited" -lt 600 ] || fail "another process (pid ${holder:-unknown}) has held $lock for 10 minutes" "end it, or remove $lock"
    [ "$waited" -ne 0 ] || say "waiting for another run (pid ${holder:-unknown}) to finish ..."
    sleep 1
    waited=$((waited + 1))
  done
  printf '%s\n' "$$" >"$lock/pid"
}

lock_release() { rm -rf "$1"; }
