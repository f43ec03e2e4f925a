# shellcheck shell=bash
# common.sh: what every kind script shares. Functions only; sourced, never run; nothing here decides.
#
# A kind script sets its tables (PARAMETERS, PACKAGES, VERBS ...), defines a function per verb, and ends with
# `run_verb "$@"`. A function that fails says so by `fail CODE text`, which ends the call; so none of them is called
# inside $(...). Those that have a result leave it in REPLY.

LC_ALL=C # bytes are bytes, whatever the document holds
COMMON="${BASH_SOURCE[0]%/*}"
# shellcheck source=constant.sh
. "$COMMON/constant.sh"
# shellcheck source=common/answer.sh
. "$COMMON/common/answer.sh"
# shellcheck source=common/parameter.sh
. "$COMMON/common/parameter.sh"
# shellcheck source=common/file.sh
. "$COMMON/common/file.sh"
# shellcheck source=common/process.sh
. "$COMMON/common/process.sh"
# shellcheck source=common/probe.sh
. "$COMMON/common/probe.sh"
# shellcheck source=common/bytes.sh
. "$COMMON/common/bytes.sh"
# shellcheck source=common/peers.sh
. "$COMMON/common/peers.sh"
# shellcheck source=common/verb.sh
. "$COMMON/common/verb.sh"

# check_status is called every minute, and what follows is more than half of what bash has to read for it. A kind whose
# check_status needs nothing of it says LIGHT_LOOK=true before it reads this file.
[[ ${1-} != check_status || ${LIGHT_LOOK-} != true ]] || return 0

# shellcheck source=common/wanted.sh
. "$COMMON/common/wanted.sh"
# shellcheck source=common/change.sh
. "$COMMON/common/change.sh"
# shellcheck source=common/meta.sh
. "$COMMON/common/meta.sh"
# shellcheck source=common/monitoring.sh
. "$COMMON/common/monitoring.sh"
# shellcheck source=common/package.sh
. "$COMMON/common/package.sh"
# shellcheck source=common/keep.sh
. "$COMMON/common/keep.sh"
# shellcheck source=common/data.sh
. "$COMMON/common/data.sh"
# shellcheck source=common/adopt.sh
. "$COMMON/common/adopt.sh"
# shellcheck source=common/options.sh
. "$COMMON/common/options.sh"
# shellcheck source=common/jvm.sh
. "$COMMON/common/jvm.sh"
# shellcheck source=common/limit.sh
. "$COMMON/common/limit.sh"
# shellcheck source=common/yaml.sh
. "$COMMON/common/yaml.sh"
# shellcheck source=common/keys.sh
. "$COMMON/common/keys.sh"
# shellcheck source=common/drift.sh
. "$COMMON/common/drift.sh"
# shellcheck source=common/tool.sh
. "$COMMON/common/tool.sh"
