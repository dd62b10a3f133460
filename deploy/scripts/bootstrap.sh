# shellcheck shell=bash
# Node and pnpm of the versions that this project needs, from the package registry where the machine's own are older.
# Sourced by run.sh, test.sh and .ci/run; needs `ROOT` (the repository) and output.sh. Assumes no more than an npm ≥ 10.

# Name of the directory below ROOT that holds what was bootstrapped; removing it is always safe.
TOOLS_DIR=.tools

node_major_wanted() { tr -cd '0-9' <"$ROOT/.nvmrc"; }

# The exact pnpm of package.json's `packageManager`, which is the one the lockfile was written by.
pnpm_version_wanted() { sed -n 's/.*"packageManager": *"pnpm@\([0-9.]*\)".*/\1/p' "$ROOT/package.json"; }

# major_of COMMAND: the major version that a command prints, or nothing.
major_of() { "$1" --version 2>/dev/null | sed -n '1s/^v\{0,1\}\([0-9][0-9]*\)\..*/\1/p'; }

has_toolchain() {
  local node_major pnpm_major
  node_major=$(major_of node)
  pnpm_major=$(major_of pnpm)
  [ -n "$node_major" ] && [ "$node_major" -ge "$(node_major_wanted)" ] &&
    [ -n "$pnpm_major" ] && [ "$pnpm_major" = "$(pnpm_version_wanted | cut -d. -f1)" ]
}

# Puts node and pnpm on PATH, installing them into .tools first when needed. Safe when two scripts run it at once.
bootstrap_toolchain() {
  local tools=$ROOT/$TOOLS_DIR
  # No tool that is called here may phone home or ask for an update.
  export TURBO_TELEMETRY_DISABLED=1 TURBO_NO_UPDATE_NOTIFIER=1 DO_NOT_TRACK=1 npm_config_update_notifier=false
  export npm_config_fund=false npm_config_audit=false
  has_toolchain && return
  PATH=$tools/node_modules/node/bin:$tools/node_modules/.bin:$PATH
  export PATH
  has_toolchain && return

  command -v npm >/dev/null 2>&1 ||
    fail "neither Node $(node_major_wanted) nor npm is installed" \
      "install Node $(node_major_wanted) (https://nodejs.org), or any npm of version 10 or later: the rest is fetched from the registry"
  mkdir -p "$tools"
  lock_acquire "$tools/lock"
  if ! has_toolchain; then
    run_quietly "fetching Node $(node_major_wanted) and pnpm $(pnpm_version_wanted) into $TOOLS_DIR/" \
      npm install --prefix "$tools" --no-save --ignore-scripts=false --loglevel=error \
      "node@$(node_major_wanted)" "pnpm@$(pnpm_version_wanted)"
    hash -r
  fi
  lock_release "$tools/lock"
  has_toolchain || fail "Node $(node_major_wanted) and pnpm were installed into $TOOLS_DIR/ but do not run" \
    "remove $TOOLS_DIR/ and try again; \`$TOOLS_DIR/node_modules/node/bin/node --version\` shows what is wrong"
}

# install_packages: the workspace's dependencies, exactly as the lockfile says. Quick when nothing has changed.
install_packages() {
  run_quietly "installing packages" pnpm --dir "$ROOT" install --frozen-lockfile --prefer-offline
}

# build_packages [PACKAGE...]: builds the named packages (default: all) and what they depend on; unchanged ones are skipped.
build_packages() {
  local filters=() package
  for package in "$@"; do filters+=("--filter=$package"); done
  run_quietly "building" pnpm --dir "$ROOT" exec turbo run build --output-logs=errors-only ${filters[@]+"${filters[@]}"}
}
