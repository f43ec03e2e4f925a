#!/usr/bin/env bats
# limit.bats: scripts/common/limit.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "a service without a manager gets its limits by the command that starts it" {
  echo plain >"$prefix/keeper"
  PARAM[open_files]=512
  LIMITS=(--core=0)
  LAUNCH_COMMAND=(bash -c 'ulimit -n; ulimit -c')
  limited
  [ "$("${LAUNCH_COMMAND[@]}")" = $'512\n0' ]
}

@test "limits that this account may not have are told, and nothing is started" {
  echo plain >"$prefix/keeper"
  PARAM[open_files]=9999999999
  run limited
  [ "$status" -eq "$NOT_INSTALLED" ]
  [[ $output == *'--nofile=9999999999'* ]]
}

@test "under a manager its unit says so" {
  echo root >"$prefix/keeper"
  LAUNCH_COMMAND=(true)
  limited
  never_root
  [ "${LAUNCH_COMMAND[*]}" = true ]
}

@test "what refuses to run as root is nobody, who reads files as root does" {
  echo plain >"$prefix/keeper"
  echo readable >"$run/private"
  chmod 0600 "$run/private"
  LAUNCH_COMMAND=(bash -c 'echo "$UID"; cat "$0"' "$run/private")
  never_root
  if ((UID == 0)); then expected=65534; else expected=$UID; fi
  [ "$("${LAUNCH_COMMAND[@]}")" = "$expected"$'\nreadable' ]
}
