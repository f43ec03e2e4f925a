# shellcheck shell=bash
# trial.sh: a new release proves itself or is undone.
