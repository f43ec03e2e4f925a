#!/usr/bin/env bats
# parameter.bats: scripts/common/parameter.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "sizes are bytes: 1kb is 1024, 1k is 1000" {
  for pair in 1:1 1k:1000 1kb:1024 2mb:2097152 1GB:1073741824 010:10; do
    to_bytes "${pair%:*}"
    [ "$REPLY" = "${pair#*:}" ]
  done
  run ! to_bytes '1 kb'
  run ! to_bytes 'a[$(id)]'
}

@test "durations are seconds" {
  for pair in 5:5 5s:5 2m:120 1h:3600 1d:86400; do
    to_seconds "${pair%:*}"
    [ "$REPLY" = "${pair#*:}" ]
  done
  run ! to_seconds soon
}

@test "a look knows the same names and defaults as the whole table" {
  local -r names="${PARAMETER_NAMES[*]}"
  local -A defaults=()
  for name in $names; do defaults[$name]=${PARAMETER_DEFAULT[$name]}; done
  PARAMETER_NAMES=() PARAMETER_DEFAULT=()
  read_defaults
  [ "${PARAMETER_NAMES[*]}" = "$names" ]
  for name in $names; do [ "${PARAMETER_DEFAULT[$name]}" = "${defaults[$name]}" ]; done
}
