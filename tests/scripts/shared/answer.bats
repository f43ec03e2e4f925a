#!/usr/bin/env bats
# answer.bats: scripts/common/answer.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "fail ends the call with its code, and its text is one line" {
  run fail 6 $'two\nlines'
  [ "$status" -eq 6 ]
  [ "$output" = 'reason: two lines' ]
}

@test "fail keeps a reason short" {
  run fail 1 "$(printf 'x%.0s' {1..5000})"
  [ "${#output}" -eq 1008 ]
}

@test "a fact is one line, whatever the value holds" {
  run fact key $'a\nstate=running'
  [ "$output" = 'key=a state=running' ]
}

@test "answer ends in step with the state" {
  for pair in running:0 degraded:190 stopped:7 absent:5; do
    run answer "${pair%:*}" why
    [ "$status" -eq "${pair#*:}" ]
    [ "${lines[1]}" = "state=${pair%:*}" ]
  done
}

@test "a deadline never goes beyond the time limit of the caller" {
  TOWLINE_TIMEOUT_S=10 SECONDS=0
  deadline 3600
  [ "$DEADLINE" -le 8 ]
}

@test "what is kept back for later is a third at most" {
  TOWLINE_TIMEOUT_S=123 SECONDS=0
  deadline 3600 20
  [ "$DEADLINE" -ge 99 ] && [ "$DEADLINE" -le 101 ]
  TOWLINE_TIMEOUT_S=15 SECONDS=0
  deadline 3600 20
  [ "$DEADLINE" -ge 7 ] && [ "$DEADLINE" -le 9 ]
}

@test "a deadline that is now is no failure" {
  TOWLINE_TIMEOUT_S=10 SECONDS=7
  deadline 60
  SECONDS=0
  deadline 0
}

@test "wait_until ends when its time is over" {
  deadline 0
  run wait_until false
  [ "$status" -eq 1 ]
}
