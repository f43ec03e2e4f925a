# shellcheck shell=bash
# constant.sh: paths, bounds and deadlines that every kind shares. Values only.

readonly DEFAULT_PREFIX=/opt/towline
readonly USER_PREFIX=.local/share/towline # below a user's home: the prefix that the user's own systemd keeps

# What an archive may hold. A JDK has about 600 members and 350 MiB.
readonly ARCHIVE_MAX_MEMBERS=50000
readonly ARCHIVE_MAX_BYTES=$((4 * 1024 * 1024 * 1024))

# Output of a service (its standard output and error), in log/<service>.log
readonly LOG_MAX_BYTES=$((10 * 1024 * 1024))
readonly LOG_KEEP=5

# Deadlines, in seconds. The caller's own (TOWLINE_TIMEOUT_S) always comes first.
readonly START_TIMEOUT_S=60
readonly STOP_TIMEOUT_S=60
readonly PROBE_TIMEOUT_S=5
readonly LOCK_TIMEOUT_S=30

# Exit codes: the OCF resource agents', with their meaning (docs/scripts/contract.md)
readonly DONE=0 FAILED=1 BAD_ARGUMENTS=2 NOT_IMPLEMENTED=3 PERMISSION=4 NOT_INSTALLED=5 DOCUMENT_WRONG=6
readonly STOPPED=7 DEGRADED=190
