#!/usr/bin/env bats
# tool.bats: scripts/common/tool.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

works() { [[ ! -e $service_dir/broken ]] || { REASON='is broken' && return 1; }; }

begin_tool() {
  mkdir -p "$prefix/packages/p-1"
  touch "$prefix/packages/p-1/tool" "$prefix/packages/p-1/note"
  ln -s ../../packages/p-1 "$service_dir/current"
  printf 'version=1.2\nprogram=1.2\n' >"$run/installed"
  touch "$run/parameters"
  TOOL_FILES=(tool)
}

state() { run tool_status && [[ $output == *"state=$1" ]]; }

@test "it is stopped, in use, stopped" {
  begin_tool
  state stopped
  tool_start
  state running
  CHANGED=0
  tool_start
  [ "$CHANGED" -eq 0 ]
  tool_stop
  state stopped
}

@test "as long as its files are what they were, it is not asked again" {
  begin_tool
  tool_start
  touch "$service_dir/broken" "$prefix/packages/p-1/note"
  state running
  touch -d '1 minute ago' "$prefix/packages/p-1/tool"
  state degraded
  [[ $output == *'reason=is broken'* ]]
}

@test "what does not work is not taken into use" {
  begin_tool
  touch "$service_dir/broken"
  run tool_start
  [ "$status" -eq 1 ]
  [ ! -e "$run/in-use" ]
}

@test "without its files it is absent" {
  begin_tool
  rm -r "$prefix/packages/p-1"
  state absent
}
