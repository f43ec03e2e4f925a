# shellcheck shell=bash
# fetch.sh: the archive, resumed and verified.
