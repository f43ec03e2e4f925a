# shellcheck shell=bash
# protocol.sh: Redis' protocol, spoken by bash: for servers and Sentinels.

# open_line: to the first address that it listens on.
open_line() {
  local -a addresses
  read -ra addresses <<<"${PARAM[bind]}"
  reachable "${addresses[0]#-}"
  connect "$REPLY" "${PARAM[port]}" || { REPLY="nothing answers on port ${PARAM[port]}" && return 1; }
}

# ask WORD...: one command in Redis' protocol. REPLY is its answer; false when it is an error or none in time.
ask() {
  local word line='' request
  printf -v request '*%s\r\n' "$#"
  for word in "$@"; do printf -v line '$%s\r\n%s\r\n' "${#word}" "$word" && request+=$line; done
  printf '%s' "$request" >&"$LINE" || :
  part || { REPLY=${REPLY:-no answer to $1 within $PROBE_TIMEOUT_S s} && return 1; }
}

# part -> REPLY: the next part of an answer; of a list how many parts follow.
part() {
  local line
  REPLY=''
  IFS= read -r -t "$PROBE_TIMEOUT_S" -u "$LINE" line || return 1
  REPLY=${line:1} REPLY=${REPLY%$'\r'}
  case $line in
    +* | :* | '*'*) ;;
    \$*) IFS= read -r -t "$PROBE_TIMEOUT_S" -u "$LINE" -N "$((REPLY + 2))" REPLY && REPLY=${REPLY%$'\r\n'} ;;
    *) return 1 ;;
  esac
}
