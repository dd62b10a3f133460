#!/bin/sh
exec node /opt/dragonfly/cli/dist/dfget.js "$@"
