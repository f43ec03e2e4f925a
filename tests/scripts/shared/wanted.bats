#!/usr/bin/env bats
# wanted.bats: scripts/common/wanted.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

given() { # given NAME VALUE: the problems of a call with that value
  declare -gx "TOWLINE_PARAM_must=x" "TOWLINE_PARAM_$1=$2"
  run wanted_parameters
}

@test "good values pass; what is left out has its default" {
  export TOWLINE_PARAM_must=x TOWLINE_PARAM_size=2kb
  wanted_parameters
  [ "${PARAM[size]} ${PARAM[wait]} ${PARAM[level]}" = '2kb 30s low' ]
}

@test "each type refuses what it is not" {
  for pair in port:0 port:65536 port:80x size:1tb size:1b wait:2h wait:x name:abcdef level:lo level:low,high; do
    given "${pair%%:*}" "${pair#*:}"
    [ "$status" -eq 6 ]
    [[ $output == *"parameter ${pair%%:*}: "* ]]
    unset "TOWLINE_PARAM_${pair%%:*}"
  done
}

@test "a string has no line end; a text may" {
  given name $'a\nb'
  [ "$status" -eq 6 ]
  unset TOWLINE_PARAM_name
  given text $'a\nb'
  [ "$status" -eq 0 ]
}

@test "lengths count characters, not bytes" {
  given name 'äöüéè'
  [ "$status" -eq 0 ]
}

@test "all problems are told at once, the unknown and the missing too" {
  export TOWLINE_PARAM_colour=blue TOWLINE_PARAM_port=no
  run wanted_parameters
  [ "$status" -eq 6 ]
  for name in colour port must; do [[ $output == *"parameter $name: "* ]]; done
}

@test "two ports of one service differ; those that are left empty do not count" {
  PORTS='port other third'
  PARAMETER_NAMES+=(other third) PARAMETER_TYPE[other]=port PARAMETER_TYPE[third]=port
  export TOWLINE_PARAM_must=x TOWLINE_PARAM_port=80 TOWLINE_PARAM_other=80
  run wanted_parameters
  [ "$status" -eq 6 ]
  [[ $output == *"parameter other: is the port of port too"* ]]
  export TOWLINE_PARAM_other=81
  wanted_parameters
}

@test "what was recorded is read back, line ends and backslashes too" {
  export TOWLINE_PARAM_must=x TOWLINE_PARAM_text=$'one\\n\ntwo %s $(id)'
  wanted_parameters
  record_parameters
  PARAM=()
  recorded_parameters
  [ "${PARAM[text]}" = "$TOWLINE_PARAM_text" ]
}

@test "a secret is read without its last line end, and is never among the parameters" {
  printf 'a b\nc\n' >"$BATS_TEST_TMPDIR/secret"
  export TOWLINE_PARAM_must=x TOWLINE_SECRET_token=$BATS_TEST_TMPDIR/secret
  wanted_parameters
  secret_text token
  [ "$REPLY" = $'a b\nc' ]
  [ -z "${PARAM[token]-}" ]
}
