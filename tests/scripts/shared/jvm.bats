#!/usr/bin/env bats
# jvm.bats: scripts/common/jvm.sh

bats_require_minimum_version 1.5.0
load prelude

setup() {
  begin
  PARAM[java]=/usr/bin/java PARAM[jdk_service]=''
  LINKS=(current jdk)
}

java_that_says() { # java_that_says TEXT: a java of that version
  printf '#!/bin/sh\necho '\''%s'\'' >&2\n' "$1" >"$BATS_TEST_TMPDIR/java"
  chmod +x "$BATS_TEST_TMPDIR/java"
}

@test "words stand one a line, or between blanks; nothing quotes" {
  split_words $'  -Xa  "-Xb c"\t$(id)'
  [ "${WORDS[*]@Q}" = "'-Xa' '\"-Xb' 'c\"' '\$(id)'" ]
  split_words $'-Da=b c\n\n-Xd\n'
  [ "${WORDS[*]@Q}" = "'-Da=b c' '-Xd'" ]
  split_words ''
  [ "${#WORDS[@]}" -eq 0 ]
}

@test "a Java that is too old is refused, by both ways of counting" {
  java_that_says 'openjdk version "21.0.8" 2025-07-15 LTS'
  need_java "$BATS_TEST_TMPDIR/java" 17
  java_that_says 'java version "1.8.0_402"'
  need_java "$BATS_TEST_TMPDIR/java" 8
  run need_java "$BATS_TEST_TMPDIR/java" 11
  [ "$status" -eq 5 ]
  [ "$output" = "reason: needs Java 11 or later; $BATS_TEST_TMPDIR/java is Java 8" ]
}

@test "the package's Java, else the jdk service's, else the host's" {
  java_program
  [ "$REPLY" = /usr/bin/java ]
  mkdir -p "$prefix/packages/jdk-21"
  ln -s ../../packages/jdk-21 "$service_dir/jdk"
  java_program
  [ "$REPLY" = "$service_dir/jdk/bin/java" ]
  touch "$run/jdk-service" # of a service that is no longer declared
  java_program
  [ "$REPLY" = /usr/bin/java ]
  PARAM[jdk_service]=java
  java_program
  [ "$REPLY" = "$service_dir/jdk/bin/java" ]
}

@test "without any Java the install says which ones it looked for" {
  PARAM[java]=$BATS_TEST_TMPDIR/none
  run find_java
  [ "$status" -eq 5 ]
  [ "$output" = "reason: no jdk package, no jdk_service, and no Java at $BATS_TEST_TMPDIR/none" ]
}
