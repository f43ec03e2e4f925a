#!/usr/bin/env bats
# yaml.bats: scripts/common/yaml.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "a value is a text, a number, or a list of texts, whatever the document says" {
  [ "$(yaml_setting server.port 5601)" = '"server.port": 5601' ]
  [ "$(yaml_setting a.b true)" = '"a.b": true' ]
  [ "$(yaml_setting a 007)" = '"a": "007"' ]
  [ "$(yaml_setting a '[one, two: three]')" = '"a": ["one", "two: three"]' ]
  [ "$(yaml_setting a 'x" : {y} # \n')" = '"a": "x\" : {y} # \\n"' ]
  [ "$(yaml_setting a "'in quotes'")" = '"a": "in quotes"' ]
  [ "$(yaml_setting a '&anchor *alias !tag')" = '"a": "&anchor *alias !tag"' ]
}

@test "lines that are no settings, or not ours to set, are told of with their names" {
  PARAM[text]=$'# a comment\n\nindices.a: 1\nnode.name: mine\n  nested: 1\nno value'
  PROBLEMS=()
  yaml_fits text 'node\.name|path\..*'
  [ "${#PROBLEMS[@]}" -eq 3 ]
  [[ ${PROBLEMS[*]} == *'node.name, which is set by'* && ${PROBLEMS[*]} == *'nested: 1'* && ${PROBLEMS[*]} == *'no value'* ]]
}

@test "lines go into the file as settings, each in its one form" {
  PARAM[text]=$'# a comment\n\nindices.a: 1\nb: yes: no'
  [ "$(yaml_lines text)" = $'# The parameter text\n# a comment\n"indices.a": 1\n"b": "yes: no"' ]
}
