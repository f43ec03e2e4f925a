#!/usr/bin/env bats
# package.bats: scripts/common/package.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

@test "a link stays inside by its words, not by its looks" {
  stays_inside a/b/link ../c
  stays_inside link ./a/../b
  run ! stays_inside link ../a
  run ! stays_inside a/link ../../b
  run ! stays_inside link /etc
  run ! stays_inside a/link b/../../../c
}

@test "an archive that leads out is refused before a byte is written" {
  mkdir "$BATS_TEST_TMPDIR/in"
  echo x >"$BATS_TEST_TMPDIR/in/x"
  for way in '../x' '/x' 'a/../../x'; do
    tar -cPf "$BATS_TEST_TMPDIR/bad.tar" -C "$BATS_TEST_TMPDIR/in" --transform "s,^x$,$way," x
    file=$BATS_TEST_TMPDIR/bad.tar
    run archive_is_safe
    [ "$status" -eq 6 ]
    [[ $output == *'leads out'* ]]
  done
}

@test "a device or a setuid bit is refused" {
  touch "$BATS_TEST_TMPDIR/x"
  chmod u+s "$BATS_TEST_TMPDIR/x"
  file=$BATS_TEST_TMPDIR/bad.tar
  tar -cf "$file" -C "$BATS_TEST_TMPDIR" x
  run archive_is_safe
  [ "$status" -eq 6 ]
  mkfifo "$BATS_TEST_TMPDIR/pipe"
  tar -cf "$file" -C "$BATS_TEST_TMPDIR" pipe
  run archive_is_safe
  [ "$status" -eq 6 ]
}

@test "program_of takes the first that is there, or says all that were looked for" {
  mkdir -p "$prefix/packages/p/bin"
  run program_of "$prefix/packages/p" bin/a a
  [ "$status" -eq 5 ]
  [ "$output" = 'reason: the package has no bin/a and no a' ]
  ln -s /bin/true "$prefix/packages/p/a"
  program_of "$prefix/packages/p" bin/a a
  [ "$REPLY" = "$prefix/packages/p/a" ]
}

@test "version_of reads the first version, and holds it against the document's" {
  TOWLINE_VERSION=2.5
  version_of echo 'toy, version 2.5.1+ds (go1.15.9)'
  [ "$REPLY" = 2.5.1 ]
  run version_of echo 2.50.1
  [ "$status" -eq 6 ]
  run version_of echo none
  [ "$status" -eq 6 ]
  run version_of false
  [ "$status" -eq 5 ]
}

@test "a package is in use as long as any service's link leads there" {
  mkdir -p "$prefix/packages/p-1" "$prefix/services/two"
  run ! package_in_use p-1
  ln -s ../../packages/p-1 "$prefix/services/two/current"
  package_in_use p-1
}

@test "supported versions are prefixes, by whole numbers" {
  for pair in 1:0 1.9:0 2.5:0 2.5.1:0 2.50:1 2:1 10:1; do
    TOWLINE_VERSION=${pair%:*}
    run supported_version
    [ "$status" -eq "${pair#*:}" ]
  done
}
