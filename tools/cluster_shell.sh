#!/bin/sh
# What DVC takes for its shell where stages run on a cluster: it is called with -c and the command.
exec python -m tools.cluster_shell "$@"
