# shellcheck shell=bash
# probe.sh: questions over TCP by bash alone, which costs no process. Every read has a time limit.

# connect HOST PORT: opens LINE. Loopback and the host's own addresses answer at once.
declare LINE=''
connect() {
  hang_up
  { exec {LINE}<>"/dev/tcp/$1/$2"; } 2>/dev/null || { LINE='' && return 1; }
}

hang_up() {
  [[ -z $LINE ]] || exec {LINE}>&-
  LINE=''
}

# reachable ADDRESS -> REPLY: where to ask a service that listens on that address.
reachable() {
  case $1 in
    '' | 0.0.0.0 | '*') REPLY=127.0.0.1 ;;
    :: | '[::]' | '::*') REPLY=::1 ;;
    *) REPLY=${1#[} REPLY=${REPLY%]} ;;
  esac
}

# http_get HOST PORT PATH: sets HTTP_STATUS, or nothing in it when there is no proper answer in time.
declare HTTP_STATUS=''
http_get() {
  local status=''
  HTTP_STATUS=''
  connect "$1" "$2" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\nUser-Agent: towline\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&"$LINE" || :
  IFS= read -r -t "$PROBE_TIMEOUT_S" -u "$LINE" status || :
  hang_up
  [[ $status =~ ^HTTP/1\.[01]\ ([1-5][0-9][0-9]) ]] && HTTP_STATUS=${BASH_REMATCH[1]}
}

# http_body HOST PORT PATH [HEADER] -> REPLY: the same, and the first bytes of the answer's body. By a program, because
# bash reads a socket byte by byte.
http_body() {
  http_answer "$1" "$2" "GET $3 HTTP/1.0"$'\r\n'"${4:+$4$'\r\n'}"$'\r\n'
}

# http_form HOST PORT METHOD PATH FORM [HEADER] -> REPLY: the form is sent as a browser would; what it and the header hold is
# in no argument and no URL.
http_form() {
  http_answer "$1" "$2" "$3 $4 HTTP/1.0"$'\r\n'"${6:+$6$'\r\n'}Content-Type: application/x-www-form-urlencoded"$'\r\n'"Content-Length: ${#5}"$'\r\n\r\n'"$5"
}

http_answer() { # http_answer HOST PORT REQUEST -> REPLY: after the request's first line come the usual headers
  local answer
  HTTP_STATUS='' REPLY=''
  connect "$1" "$2" || return 1
  printf '%s\r\nHost: %s:%s\r\nUser-Agent: towline\r\nConnection: close\r\n%s' "${3%%$'\r\n'*}" "$1" "$2" "${3#*$'\r\n'}" >&"$LINE" || :
  { answer=$(exec timeout "$PROBE_TIMEOUT_S" head -c 65536 <&"$LINE") || :; } 2>/dev/null # bash says when it drops a NUL
  hang_up
  [[ $answer =~ ^HTTP/1\.[01]\ ([1-5][0-9][0-9]) ]] || return 1
  HTTP_STATUS=${BASH_REMATCH[1]}
  REPLY=${answer#*$'\r\n\r\n'}
}

# http_short HOST PORT PATH [HEADER] -> REPLY: the same, of an answer that is a page at most; no process, byte by byte.
http_short() {
  local answer=''
  HTTP_STATUS='' REPLY=''
  connect "$1" "$2" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\nUser-Agent: towline\r\nConnection: close\r\n%s\r\n' "$3" "$1" "$2" "${4:+$4$'\r\n'}" >&"$LINE" || :
  IFS= read -r -t "$PROBE_TIMEOUT_S" -N 8192 -u "$LINE" answer || : # false at the end of a shorter one
  hang_up
  [[ $answer =~ ^HTTP/1\.[01]\ ([1-5][0-9][0-9]) ]] || return 1
  HTTP_STATUS=${BASH_REMATCH[1]}
  REPLY=${answer#*$'\r\n\r\n'}
}

form_text() { # form_text TEXT -> REPLY: as a value in a form, byte by byte
  local byte all=''
  local -i index
  for ((index = 0; index < ${#1}; index++)); do
    byte=${1:index:1}
    if [[ $byte == [A-Za-z0-9._-] ]]; then all+=$byte; else printf -v byte '%%%02X' "'$byte" && all+=$byte; fi
  done
  REPLY=$all
}

# http_healthy HOST PORT PATH: an answer below 400; otherwise says why in REASON.
http_healthy() {
  if ! http_get "$1" "$2" "$3"; then
    REASON="does not answer HTTP on port $2 within $PROBE_TIMEOUT_S s"
  elif ((HTTP_STATUS >= 400)); then
    REASON="answers HTTP $HTTP_STATUS to GET $3 on port $2"
  else
    return 0
  fi
  return 1
}
