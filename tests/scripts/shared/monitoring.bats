#!/usr/bin/env bats
# monitoring.bats: scripts/common/monitoring.sh

bats_require_minimum_version 1.5.0
load prelude

setup() {
  begin
  MONITORING='
check | enum   | required | http, tcp | none | What is asked
every | int    | 60       | 10..600   | none | Seconds between two questions
note  | string |          | ..5       | none | A note
'
}

@test "meta says every value, and parameters are what they were" {
  before="${PARAMETER_NAMES[*]}"
  json_monitoring
  [ "$before" = "${PARAMETER_NAMES[*]}" ]
  python3 - "[$REPLY]" <<'PY'
import json, sys
said = {value["name"]: value for value in json.loads(sys.argv[1])}
assert list(said) == ["check", "every", "note"]
assert said["check"]["required"] and said["check"]["choices"] == ["http", "tcp"]
assert (said["every"]["default"], said["every"]["min"], said["every"]["max"]) == ("60", 10, 600)
PY
}

@test "values are found, those left out by their default" {
  export TOWLINE_MONITORING_check=tcp
  wanted_monitoring
  [ "${MONITOR[check]} ${MONITOR[every]} ${MONITOR[note]-}" = 'tcp 60 ' ]
}

@test "where nothing is given the wiring is taken out" {
  wanted_monitoring
  [ "${#MONITOR[@]}" = 0 ]
}

@test "every mistake is told at once, by its name" {
  export TOWLINE_MONITORING_every=5 TOWLINE_MONITORING_note=longer TOWLINE_MONITORING_other=1
  run wanted_monitoring
  [ "$status" = 6 ]
  for name in check every note other; do [[ $output == *"monitoring $name"* ]]; done
}
