# shellcheck shell=bash
# token.sh: reading the join token.
