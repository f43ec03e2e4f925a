#!/usr/bin/env bats
# probe.bats: scripts/common/probe.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

serve() { # serve ANSWER: one connection is answered with it; sets PORT
  local -r answer=$BATS_TEST_TMPDIR/answer
  printf '%b' "$1" >"$answer"
  coproc SERVER { exec python3 "$BATS_TEST_DIRNAME/one_answer.py" "$answer"; }
  read -r PORT <&"${SERVER[0]}"
}

@test "where to ask what listens everywhere" {
  for pair in 0.0.0.0=127.0.0.1 '*=127.0.0.1' ::=::1 '[::]=::1' 10.0.0.5=10.0.0.5 '[fe80::1]=fe80::1'; do
    reachable "${pair%=*}"
    [ "$REPLY" = "${pair#*=}" ]
  done
}

@test "http_get takes the status of a proper answer" {
  serve 'HTTP/1.1 204 No Content\r\n\r\n'
  http_get 127.0.0.1 "$PORT" /
  [ "$HTTP_STATUS" = 204 ]
}

@test "http_get takes nothing else for an answer" {
  serve 'SSH-2.0-OpenSSH_9.2\r\n'
  run ! http_get 127.0.0.1 "$PORT" /
}

@test "http_body has the body, without NULs and without the headers" {
  serve 'HTTP/1.0 503 Busy\r\nX: y\r\n\r\na\0b\nc\n'
  http_body 127.0.0.1 "$PORT" /
  [ "$HTTP_STATUS" = 503 ]
  [ "$REPLY" = $'ab\nc' ]
}

@test "an answer that never comes ends in time, with a reason" {
  serve ''
  PROBE=1
  run ! http_healthy 127.0.0.1 "$PORT" /
  run ! connect 127.0.0.1 1
}
