#!/usr/bin/env bats
# keys.bats: scripts/common/keys.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

keys_of() { # keys_of NAME: its standard input as that file; `key=value` lines, `line` alone for one without a key
  local key
  cat >"$etc/$1"
  read_settings "$etc/$1"
  for key in "${KEYS[@]+"${KEYS[@]}"}"; do
    if [[ $key == :* ]]; then printf '%s=%s\n' "${key#:}" "${VALUE_OF[$key]}"; else printf '%s\n' "${key#=}"; fi
  done
}

@test "properties: names and values, without comments; a name that comes twice is told apart" {
  [ "$(keys_of a.properties <<<$'# a comment\nlog.dirs = /a,/b\nx=1\nx=2\n! odd line')" = $'log.dirs=/a,/b\nx=1\nx (2)=2\n! odd line' ]
}

@test "ini: names below their section" {
  [ "$(keys_of my.cnf <<<$'[mysqld]\nport = 3306\nskip_name_resolve\n[client]\nport=1')" = $'mysqld.port=3306\nmysqld.skip_name_resolve\nclient.port=1' ]
}

@test "conf: words and blocks" {
  [ "$(keys_of nginx.conf <<<$'worker_processes 2;\nhttp {\n  server {\n    listen 80;\n  }\n  gzip on;\n}')" = $'worker_processes=2\nhttp.server.listen=80\nhttp.gzip=on' ]
  [ "$(keys_of pipeline.conf <<<$'input {\n  beats {\n    port => 5044\n  }\n}')" = 'input.beats.port=5044' ]
}

@test "options, one a line" {
  [ "$(keys_of arguments <<<$'--web.listen=:9090\n-Xmx1g\n-Da.b=c')" = $'--web.listen=:9090\n-Xmx1g\n-Da.b=c' ]
}

@test "yaml: places by indentation, lists numbered, texts as one value" {
  keys_of a.yml >"$BATS_TEST_TMPDIR/seen" <<'YAML'
# a comment
---
http.port: 9200
path:
  data: "/d"   # where
global:
  labels: {a: b}
jobs:
- name: one
  urls:
    - http://a:1
    - http://b:2
- name: two
text: |
  first

  second
last: 1
YAML
  diff "$BATS_TEST_TMPDIR/seen" - <<'SEEN'
http.port=9200
path.data="/d"
global.labels={a: b}
jobs[0].name=one
jobs[0].urls[0]=http://a:1
jobs[0].urls[1]=http://b:2
jobs[1].name=two
text=first /  / second
last=1
SEEN
}

@test "json: the same, however it is laid out" {
  text='{"a": {"b": [1, {"c": "x, \"y\""}], "d": null}, "e": true}'
  [ "$(keys_of a.json <<<"$text")" = $'a.b[0]=1\na.b[1].c="x, \\"y\\""\na.d=null\ne=true' ]
  [ "$(keys_of a.json <<<$'{"a": {\n"b": [1,\n {"c":"x, \\"y\\""}], "d": null}\n, "e": true}')" = "$(keys_of a.json <<<"$text")" ]
}

@test "rubbish ends nothing and runs nothing" {
  local name kind
  # shellcheck disable=SC2016
  local -a odd=('}}}}' ']' '- - -' '$(touch canary)' 'a[$(touch canary)]=1' 'a[$(touch canary)]: 1' '"a[`touch canary`]": {' '@: 1' '*=2' '[' '::' '"' '  - x' ']: b' '{"@": 1, "*": [}' 'x[1]=$(touch canary)')
  cd "$BATS_TEST_TMPDIR"
  for kind in a.yml a.json a.properties a.conf a.cnf a; do
    for name in "${odd[@]}"; do keys_of "$kind" <<<"$name" >/dev/null; done
    printf '%s\n' "${odd[@]}" | keys_of "$kind" >/dev/null
    head -c 3000 /dev/urandom | keys_of "$kind" >/dev/null 2>&1
  done
  [ ! -e canary ]
}
