#!/usr/bin/env bats
# data.bats: scripts/common/data.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

fill() { echo "$1" >"${*: -1}/file"; }
break_off() { echo half >"${*: -1}/file" && fail "$FAILED" 'broken off'; }

@test "what is made once is there whole, and a second time nothing happens" {
  made_once "$data/db" fill one
  [ "$(cat "$data/db/file")" = one ]
  CHANGED=0
  made_once "$data/db" fill two
  [ "$(cat "$data/db/file")" = one ]
  [ "$CHANGED" -eq 0 ]
}

@test "a half one is never at its place, and is made anew" {
  run made_once "$data/db" break_off
  [ "$status" -eq 1 ]
  [ ! -e "$data/db" ]
  [ "$(cat "$data/.partial-db/file")" = half ]
  made_once "$data/db" fill whole
  [ "$(cat "$data/db/file")" = whole ]
  [ ! -e "$data/.partial-db" ]
}

@test "data goes up, and down only within its series" {
  mkdir "$data/db"
  data_goes_up "$data/db" Toy 10.5.29
  data_goes_up "$data/db" Toy 10.11.2
  data_goes_up "$data/db" Toy 10.11.1
  run data_goes_up "$data/db" Toy 10.5.30
  [ "$status" -eq 6 ]
  [[ $output == *'was written by Toy 10.11, and 10.5 does not take it back'* ]]
  [ "$(cat "$service_dir/data-version")" = 'Toy 10.11.1' ]
}

@test "data of another program is refused; where there is no data, nothing is" {
  mkdir "$data/db"
  data_goes_up "$data/db" Toy 10.5.29
  run data_goes_up "$data/db" Game 12.0
  [ "$status" -eq 6 ]
  rmdir "$data/db"
  data_goes_up "$data/db" Game 9.0
  [ "$(cat "$service_dir/data-version")" = 'Game 9.0' ]
}

@test "versions are compared by their numbers" {
  newer 10.11 10.5
  newer 11.0 10.11
  run newer 10.5 10.5
  [ "$status" -eq 1 ]
  run newer 9.7 10.0
  [ "$status" -eq 1 ]
}

@test "a file is noted until it changes" {
  echo a >"$etc/a"
  run noted done "$etc/a"
  [ "$status" -eq 1 ]
  take_note done "$etc/a"
  noted done "$etc/a"
  echo b >"$etc/a"
  run noted done "$etc/a"
  [ "$status" -eq 1 ]
}
