# shellcheck shell=bash
# unit.sh: the agent kept by systemd.
