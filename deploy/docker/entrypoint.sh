#!/bin/sh
# Prepares the environment of a service and becomes it.
#   X_FILE=/path   sets X to the content of that file, for secrets that must stand neither in the environment of the
#                  container nor in its configuration
#   an empty DRAGONFLY_ variable is dropped: compose passes `${IP:-}` on, and an empty address is no address
set -eu
for name in $(env | sed -n 's/^\(DRAGONFLY_[A-Za-z0-9_]*\)=.*/\1/p'); do
  eval "value=\${$name}"
  if [ -z "$value" ]; then
    unset "$name"
    continue
  fi
  case $name in
    *_FILE)
      if [ ! -r "$value" ]; then
        echo "dragonfly-entrypoint: $name=$value cannot be read" >&2
        exit 1
      fi
      export "${name%_FILE}=$(cat "$value")"
      unset "$name"
      ;;
  esac
done
exec "$@"
