#!/usr/bin/env bats
# options.bats: scripts/common/options.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

program() { REPLY=$BATS_TEST_TMPDIR/program; }

@test "options are one a line, and none that the script sets" {
  PARAM[text]=$'--a.b=c d\n\n--no-e'
  options_fit text '^--web'
  [ "${#PROBLEMS[@]}" -eq 0 ]
  PARAM[text]=$'a\n-b\n--web.x=1\n--A'
  options_fit text '^--web'
  [ "${#PROBLEMS[@]}" -eq 4 ]
}

@test "an option that the program does not know is refused in its words" {
  printf '#!/bin/sh\necho "program: error: unknown flag $1" >&2\nexit 1\n' >"$BATS_TEST_TMPDIR/program"
  chmod +x "$BATS_TEST_TMPDIR/program"
  ARGUMENTS=(--nope)
  run put_arguments
  [ "$status" -eq 6 ]
  [ "$output" = 'reason: toy refuses an option: unknown flag --nope' ]
  [ ! -e "$etc/arguments" ]
}

@test "arguments arrive at the launch as they are" {
  ln -s /bin/true "$BATS_TEST_TMPDIR/program"
  ARGUMENTS=('--a=b  c' '--d=$(id)')
  put_arguments
  ARGUMENTS=()
  launch_with_arguments
  [ "${#LAUNCH_COMMAND[@]}" -eq 3 ]
  [ "${LAUNCH_COMMAND[2]}" = '--d=$(id)' ]
}

@test "more lines of a settings file: name = value, and none that the script sets, in no spelling" {
  PARAM[text]=$'max_x = 1\n\n# why\nflag\nother-name=a b'
  settings_fit text 'data_dir port' '^nope_'
  [ "${#PROBLEMS[@]}" -eq 0 ]
  PARAM[text]=$'data-dir=/\nloose_port = 1\ndata_d=/\nskip-nope_x\n[section]\n!include /etc/x\nA = 1'
  settings_fit text 'data_dir port' '^nope_'
  [ "${#PROBLEMS[@]}" -eq 7 ]
}
