#!/usr/bin/env bats
# bytes.bats: scripts/common/bytes.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

from() { exec {LINE}< <(printf '%b' "$1"); } # from ESCAPED: LINE reads these bytes

@test "bytes go out as they are, zeros too" {
  local -r file=$BATS_TEST_TMPDIR/sent
  exec {LINE}>"$file"
  send_hex 00ff0a5c2541
  [ "$(od -An -tx1 "$file")" = ' 00 ff 0a 5c 25 41' ]
}

@test "few bytes and many come in as numbers" {
  from '\x00\xff\x0a\x20\x00\x80'
  read_bytes 6
  [ "${BYTES[*]}" = '0 255 10 32 0 128' ]
  exec {LINE}< <(head -c 3000 /dev/zero && printf '\x01')
  read_bytes 3001
  [ "${#BYTES[@]} ${BYTES[0]} ${BYTES[3000]}" = '3001 0 1' ]
}

@test "what is not all there in time is no answer" {
  from 'abc'
  run ! read_bytes 4
  from 'abc'
  run ! read_bytes 400
}

@test "numbers have a sign" {
  BYTES=(255 255 255 255 0 0 1 2 128 0)
  number_at 0 4
  [ "$REPLY" -eq -1 ]
  number_at 4 4
  [ "$REPLY" -eq 258 ]
  number_at 8 2
  [ "$REPLY" -eq -32768 ]
}
