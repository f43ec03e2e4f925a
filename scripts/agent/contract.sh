# shellcheck shell=bash
# contract.sh: the kind agent, as the puller calls it.
