#!/bin/sh
exec node /opt/dragonfly/cli/dfget.js "$@"
