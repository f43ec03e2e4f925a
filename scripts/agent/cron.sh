# shellcheck shell=bash
# cron.sh: the agent kept by cron.
