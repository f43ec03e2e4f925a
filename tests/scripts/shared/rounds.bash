#!/usr/bin/env bash
# rounds.bash SCRIPTS: what the rounds of a login come to in bash alone, for tests/scripts/test_mongodb.py
set -Eeuo pipefail
LC_ALL=C FAILED=1
. "$1/common/bytes.sh"
. "$1/mongodb/wire.sh"
. "$1/mongodb/scram.sh"
rounds_in_bash 'canary of nobody' 00ff10203040 7
echo "$REPLY"
