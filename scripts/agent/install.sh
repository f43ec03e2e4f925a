# shellcheck shell=bash
# install.sh: the command install.
