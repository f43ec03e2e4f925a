#!/usr/bin/env bats
# peers.bats: scripts/common/peers.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "peers are addresses with ports, and none is none" {
  for value in '' a:1 db-2.example:3306,10.0.0.7:3306 '[::1]:6379,b:2'; do
    PARAM[peers]=$value PROBLEMS=()
    peers_fit
    [ "${#PROBLEMS[@]}" -eq 0 ]
  done
  for value in a a:0 'a:1, b:2' a:1,,b:2 '$(id):1' a:1,; do
    PARAM[peers]=$value PROBLEMS=()
    peers_fit
    [ "${#PROBLEMS[@]}" -eq 1 ]
  done
}

@test "a primary misses the replicas that it has not; a replica misses none" {
  PARAM[peers]=a:1,b:2 PARAM[replica_of]=''
  all_connected 2
  run ! all_connected 1
  all_connected 1 || true
  [ "$REASON" = '1 of 2 replicas are connected' ]
  PARAM[replica_of]=c:3
  all_connected 0
  PARAM[peers]='' PARAM[replica_of]=''
  all_connected 0
}
