# shellcheck shell=bash
# alive.sh: asking the agent, and waiting for it.
