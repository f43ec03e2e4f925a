#!/usr/bin/env bats
# meta.bats: scripts/common/meta.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "texts are JSON texts" {
  json_text 'a "b" \c'
  [ "$REPLY" = '"a \"b\" \\c"' ]
}

@test "meta is JSON that says every parameter" {
  run meta
  python3 - "$output" <<'PY'
import json, sys
said = json.loads(sys.argv[1])
named = {p["name"]: p for p in said["parameters"]}
assert (named["size"]["min"], named["size"]["max"]) == (1024, 1073741824)
assert named["level"]["choices"] == ["low", "high"]
assert named["must"]["required"] and "default" not in named["token"]
assert said["verbs"] == {"meta": {"timeout_s": 10}, "check_status": {"timeout_s": 10}}
PY
}

@test "what a package must hold: groups with blanks between, of each one path with commas between" {
  PACKAGES='
a | required | help of a | bin/a,a lib/*.jar
b | optional | help of b
'
  json_packages
  [ "$REPLY" = '[{"role": "a", "required": true, "help": "help of a", "holds": [["bin/a", "a"], ["lib/*.jar"]]}, {"role": "b", "required": false, "help": "help of b"}]' ]
}

@test "meta says what membership of a cluster fills in" {
  CLUSTER='
level | id      |
size  | members | {id}@{address}:{must}
must  | primary | a|b
'
  run meta
  python3 - "$output" <<'PY'
import json, sys
assert json.loads(sys.argv[1])["cluster"] == [
    {"parameter": "level", "from": "id", "form": ""},
    {"parameter": "size", "from": "members", "form": "{id}@{address}:{must}"},
    {"parameter": "must", "from": "primary", "form": "a|b"},
]
PY
}

@test "a kind that forms no clusters says so" {
  run meta
  [[ $output == *'"cluster": [],'* ]]
}
