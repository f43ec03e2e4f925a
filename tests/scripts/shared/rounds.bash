#!/usr/bin/env bash
# rounds.bash SCRIPTS: what the rounds of a login come to in bash alone, for tests/scripts/test_mongodb.py
set -Eeuo pipefail
LC_ALL=C
# shellcheck disable=SC2034 # for what is read below
FAILED=1
# shellcheck source=../../../scripts/common/bytes.sh
. "$1/common/bytes.sh"
# shellcheck source=../../../scripts/mongodb/wire.sh
. "$1/mongodb/wire.sh"
# shellcheck source=../../../scripts/mongodb/scram.sh
. "$1/mongodb/scram.sh"
rounds_in_bash 'canary of nobody' 00ff10203040 7
echo "$REPLY"
