#!/usr/bin/env bats
# spring.bats: scripts/common/spring.sh, and what a form is made of (probe.sh)

bats_require_minimum_version 1.5.0
load prelude

setup() {
  begin
  # shellcheck source=../../../scripts/common/spring.sh
  . "$COMMON/common/spring.sh"
}

@test "the version of a jar inside a jar" {
  printf 'PK..BOOT-INF/lib/thing-core-2.3.2.jar\0\0BOOT-INF/lib/other-9.9.9.jar' >"$BATS_TEST_TMPDIR/a.jar"
  TOWLINE_VERSION=2.3
  jar_version "$BATS_TEST_TMPDIR/a.jar" thing-core
  [ "$REPLY" = 2.3.2 ]
  run jar_version "$BATS_TEST_TMPDIR/a.jar" thing-console
  [ "$status" -eq 5 ]
  [ "$output" = 'reason: the package has no a.jar with thing-console-VERSION.jar in it' ]
}

@test "what is written as a property is read as it was" {
  for value in '' plain ' in front' 'a\b\\c' 'x=y #!' '\ ' "it's \"so\""; do
    property a.key "$value" >"$BATS_TEST_TMPDIR/p"
    property_of "$BATS_TEST_TMPDIR/p" a.key
    [ "$REPLY" = "$value" ]
  done
  [ "$(property a ' \b')" = 'a=\ \\b' ]
}

@test "more properties: each a line, none that is taken however it is spelled, nothing that is filled in or run" {
  PARAM[extra]=$'one.two=3\n\nnames[0].a-b=c=d'
  properties_fit extra 'server\.port'
  [ "${#PROBLEMS[@]}" -eq 0 ]
  for line in 'server.port=1' 'Server.PORT=1' 'server.po-rt=1' 'no value' $'umlaut=\xc3\xbc' 'a=${HOME}' 'a=#{1}' ' a=b'; do
    PROBLEMS=() PARAM[extra]=$line
    properties_fit extra 'server\.port'
    [ "${#PROBLEMS[@]}" -eq 1 ]
  done
}

@test "a form carries any text" {
  form_text 'a b&c=d+e%f/"ü'
  [ "$REPLY" = 'a%20b%26c%3Dd%2Be%25f%2F%22%C3%BC' ]
}

@test "the last cause of an exception is the reason, else the last lines" {
  service=one log_dir=$BATS_TEST_TMPDIR
  printf 'Caused by: java.lang.First: no\n\tat a.b(C)\nCaused by: java.sql.Last: timeout\n\tat d.e(F)\n' >"$log_dir/one.log"
  [ "$(last_cause)" = 'java.sql.Last: timeout' ]
  printf 'a\nb\nc\n' >"$log_dir/one.log"
  [ "$(last_cause)" = 'a b c ' ]
}
