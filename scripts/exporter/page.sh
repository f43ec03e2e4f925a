# shellcheck shell=bash
# page.sh: what exporters of other services have in common: their own page of metrics tells whether they reach the service.

# page_lines HOST PORT PATH PATTERN -> REPLY: the lines of the page that begin with the pattern, four at most; HTTP_STATUS. A page
# has thousands of lines, and those that are asked for may be the last.
page_lines() {
  local answer
  HTTP_STATUS='' REPLY=''
  connect "$1" "$2" || return 1
  # The exporter gives up a little before we do, and says so on its page.
  printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\nUser-Agent: towline\r\nX-Prometheus-Scrape-Timeout-Seconds: %s\r\nConnection: close\r\n\r\n' \
    "$3" "$1" "$2" "$((PROBE_TIMEOUT_S - 1))" >&"$LINE" || :
  answer=$(exec timeout "$PROBE_TIMEOUT_S" grep -aE -m 5 "^(HTTP/1\.[01] |$4)" <&"$LINE") || :
  hang_up
  [[ $answer =~ ^HTTP/1\.[01]\ ([1-5][0-9][0-9]) ]] || return 1
  HTTP_STATUS=${BASH_REMATCH[1]}
  REPLY=${answer#*$'\n'}
}

# shows_up NAME PATH [PATTERN]: our own page says `NAME 1`. Else REASON, and REPLY has the lines that fit the pattern too.
shows_up() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  reachable "${PARAM[bind]}"
  page_lines "$REPLY" "${PARAM[port]}" "$2" "$1 ${3:+|$3}" || { REASON="does not answer HTTP on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  [[ $HTTP_STATUS == 200 ]] || { REASON="answers HTTP $HTTP_STATUS to GET $2" && return 1; }
  [[ $'\n'$REPLY$'\n' != *$'\n'"$1 1"$'\n'* ]] || return 0
  REASON="shows no $1 on its page"
  [[ $'\n'$REPLY != *$'\n'"$1 0"* ]] || REASON="shows $1 0: ${PARAM[target]} does not answer it"
  return 1
}

bind_fits() { [[ ${PARAM[bind]} =~ ^([0-9.]+|\[[0-9A-Fa-f:.]+\])$ ]] || problem bind 'is no address (IPv6 in brackets)'; }

password_fits() { # password_fits: what no file of theirs can carry
  secret_text password
  [[ $REPLY != *[[:cntrl:]]* ]] || problem password 'has a line end or another control character'
  ((${#REPLY} <= 512)) || problem password 'is longer than 512 bytes'
}
