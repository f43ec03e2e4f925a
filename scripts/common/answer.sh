# shellcheck shell=bash
# answer.sh: how a script answers: facts on standard output, words for people on standard error, an exit code.

declare -i CHANGED=0

log() { printf '%s\n' "$*" >&2; }

# fail CODE TEXT...: ends the call; the text becomes the reason in the report, so it is one line.
fail() {
  local code=$1 text="${*:2}"
  text=${text//[[:cntrl:]]/ }
  log "reason: ${text:0:1000}"
  exit "$code"
}

# What nobody foresaw still has a reason. The command is shown as it is written in the script, so no value is shown.
unexpected() {
  log "reason: ${0##*/}: unexpected failure in line $1: ${2%%$'\n'*}"
  exit "$FAILED"
}

# fact NAME VALUE: one key=value line, whatever the value holds.
fact() { printf '%s=%s\n' "$1" "${2//[[:cntrl:]]/ }"; }

did() { # did TEXT: this call changed something
  CHANGED=1
  log "$*"
}

# answer STATE [REASON]: what check_status ends with.
answer() {
  [[ -z ${2-} ]] || fact reason "$2"
  fact state "$1"
  case $1 in
    running) exit "$DONE" ;;
    degraded) exit "$DEGRADED" ;;
    stopped) exit "$STOPPED" ;;
    *) exit "$NOT_INSTALLED" ;;
  esac
}

# deadline SECONDS [RESERVE]: sets DEADLINE (of SECONDS) for wait_until; the caller's time limit comes first, and RESERVE
# seconds of it, a third at most, stay for what has to follow.
declare -i DEADLINE=0
deadline() {
  local -i most=3600 reserve=${2-0}
  [[ ! ${TOWLINE_TIMEOUT_S-} =~ ^[1-9][0-9]{0,5}$ ]] || most=$TOWLINE_TIMEOUT_S
  most=$((most > 5 ? most - 3 - SECONDS : 2)) # not in ((...)): zero is no failure
  most=$((most - (reserve < most / 3 ? reserve : most / 3)))
  DEADLINE=$((SECONDS + ($1 < most ? $1 : most)))
}

# wait_until COMMAND...: until it succeeds or DEADLINE has passed.
wait_until() {
  until "$@"; do
    ((SECONDS < DEADLINE)) || return 1
    pause 0.05
  done
}

# pause SECONDS: without a process; a read that nothing answers.
pause() {
  [[ -n ${SILENCE-} ]] || exec {SILENCE}<> <(:)
  read -rt "$1" -u "$SILENCE" || :
}
