#!/usr/bin/env bats
# file.bats: scripts/common/file.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "put writes once; the same bytes change nothing" {
  put "$etc/a" <<<text
  [ "$CHANGED" -eq 1 ]
  CHANGED=0
  put "$etc/a" <<<text
  [ "$CHANGED" -eq 0 ]
  [ "$(stat -c %a "$etc/a")" = 600 ]
  [ ! -e "$etc/a.new" ]
}

@test "put replaces a link, and leaves what it led to alone" {
  echo theirs >"$BATS_TEST_TMPDIR/theirs"
  ln -s "$BATS_TEST_TMPDIR/theirs" "$etc/a"
  put "$etc/a" <<<ours
  [ ! -L "$etc/a" ]
  [ "$(cat "$BATS_TEST_TMPDIR/theirs")" = theirs ]
}

@test "point changes a link by one rename, once" {
  point "$service_dir/current" one
  point "$service_dir/current" two
  [ "$(readlink "$service_dir/current")" = two ]
  CHANGED=0
  point "$service_dir/current" two
  [ "$CHANGED" -eq 0 ]
}

@test "remove_tree takes nothing but folders of towline's" {
  mkdir -p "$BATS_TEST_TMPDIR/other" "$prefix/services/two"
  for folder in "$BATS_TEST_TMPDIR/other" "$prefix" "$prefix/services" "$prefix/services/../../other" "$prefix//" / ''; do
    run remove_tree "$folder"
    [ "$status" -eq 1 ]
  done
  [ -d "$BATS_TEST_TMPDIR/other" ]
  remove_tree "$prefix/services/two"
  [ ! -e "$prefix/services/two" ]
}

@test "remove_tree follows no link" {
  mkdir "$BATS_TEST_TMPDIR/other"
  ln -s "$BATS_TEST_TMPDIR/other" "$prefix/services/two"
  run remove_tree "$prefix/services/two"
  [ "$status" -eq 1 ]
  [ -d "$BATS_TEST_TMPDIR/other" ]
}

@test "digests are in the order of the files; what is not there is missing" {
  printf a >"$etc/a"
  digests "$etc/b" "$etc/a" "$etc/c"
  [ "${DIGESTS[*]}" = "missing $(printf a | sha256sum | cut -d ' ' -f 1) missing" ]
}

@test "config_digest is the contract's" {
  printf a >"$etc/a"
  CONFIG_FILES=("$etc/a" "$etc/b")
  config_digest
  wanted=$(printf '%s\nmissing\n' "$(printf a | sha256sum | cut -d ' ' -f 1)" | sha256sum)
  [ "$REPLY" = "sha256:${wanted%% *}" ]
}

@test "the salt stays, and is also had as blanks and tabs" {
  salt
  first=$REPLY
  [ "${#first}" -eq 32 ]
  salt
  [ "$REPLY" = "$first" ]
  blank_salt
  [ "${#REPLY}" -eq 128 ]
  [ -z "${REPLY//[[:blank:]]/}" ]
}
