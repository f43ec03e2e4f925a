#!/usr/bin/env bats
# drift.bats: scripts/common/drift.sh

bats_require_minimum_version 1.5.0
load prelude

setup() {
  begin
  umask 077
  CONFIG_FILES=("$etc/a.properties" "$etc/b.yml" "$etc/c")
}

kept() { # what configure ends with
  config_digest
  keep_written
}

seen() { # the facts of a look
  config_digest
  config_facts | grep '^drift=' || :
}

@test "where nothing drifted nothing is said, and no file is read" {
  echo x=1 >"$etc/a.properties"
  kept
  read_settings() { touch "$BATS_TEST_TMPDIR/read"; }
  [ -z "$(seen)" ]
  [ ! -e "$BATS_TEST_TMPDIR/read" ]
}

@test "the digest that was kept is taken for just the digests of just the files that it is of" {
  echo x=1 >"$etc/a.properties"
  kept
  wanted=$REPLY
  digests "${CONFIG_FILES[@]}"
  kept_digest
  [ "$REPLY" = "$wanted" ]
  echo y=1 >>"$etc/a.properties"
  digests "${CONFIG_FILES[@]}"
  run ! kept_digest
  config_digest
  [ "$REPLY" != "$wanted" ]
  echo x=1 >"$etc/a.properties"
  CONFIG_FILES=("$etc/a.properties" "$etc/b.yml")
  digests "${CONFIG_FILES[@]}"
  run ! kept_digest
  CONFIG_FILES=("$etc/a.properties" "$etc/c" "$etc/b.yml")
  digests "${CONFIG_FILES[@]}"
  run ! kept_digest
  config_digest
  [[ $REPLY =~ ^sha256:[0-9a-f]{64}$ ]]
}

@test "what changed, came and went is told by its key" {
  printf '%s\n' 'x = 1' 'y = 2' >"$etc/a.properties"
  printf '%s\n' 'a:' '  b: 1' >"$etc/b.yml"
  kept
  printf '%s\n' 'y = 3' 'z =' >"$etc/a.properties"
  printf '%s\n' 'a:' '  b: 2' >"$etc/b.yml"
  diff <(seen) - <<'SEEN'
drift=a.properties: y = 2 -> 3
drift=a.properties: z = (not set) -> (empty)
drift=a.properties: x = 1 -> (not set)
drift=b.yml: a.b = 1 -> 2
SEEN
}

@test "lines without a key, files that went or came, and what is no value" {
  echo '-Xmx1g' >"$etc/c"
  echo x=1 >"$etc/a.properties"
  kept
  echo '-Xmx2g' >"$etc/c"
  printf '%s\n' '# a word' 'x = 1' >"$etc/a.properties"
  echo 'a: 1' >"$etc/b.yml"
  diff <(seen) - <<'SEEN'
drift=a.properties: comments, blanks or the order of lines differ, no value
drift=b.yml: is new here
drift=c: line added: -Xmx2g
drift=c: line removed: -Xmx1g
SEEN
  rm "$etc/c"
  [[ $(seen) == *'drift=c: is gone'* ]]
}

@test "a secret is told by its name, never by its value; another one is told from the same" {
  printf '%s\n' 'db.password = canary-one' 'url = jdbc:x://me:canary-two@h/d' 'sasl.jaas.config=x password="canary-3";' 'x=1' >"$etc/a.properties"
  kept
  printf '%s\n' 'db.password = canary-four' 'url = jdbc:x://me:canary-two@h/d' 'sasl.jaas.config=x password="canary-3";' 'x=1' 'api_key=canary-5' >"$etc/a.properties"
  diff <(seen) - <<'SEEN'
drift=a.properties: db.password = (secret) -> (another secret)
drift=a.properties: api_key = (not set) -> (secret)
SEEN
  ! grep -r canary "$run"
}

@test "what this call was given as a secret is hidden wherever it stands, and what comes to that place is, too" {
  printf 'can"ary\\one\nsecond-line\n' >"$BATS_TEST_TMPDIR/token"
  SECRET[token]=$BATS_TEST_TMPDIR/token
  printf '%s\n' 'plain = can\"ary\\one' 'x=1' >"$etc/a.properties"
  printf '%s\n' 'second-line' >"$etc/c"
  kept
  ! grep -rE 'ary|second' "$run"
  printf '%s\n' 'plain = typed-by-hand' 'x=2' >"$etc/a.properties"
  printf '%s\n' 'also-typed' >"$etc/c"
  diff <(seen) - <<'SEEN'
drift=a.properties: plain = (secret) -> (another secret)
drift=a.properties: x = 1 -> 2
drift=c: a line that is not shown was added
drift=c: a line that is not shown was removed
SEEN
}

@test "in a file of nothing but secrets nothing is shown" {
  echo 'requirepass "canary"' >"$etc/a.conf"
  CONFIG_FILES=("$etc/a.conf")
  kept
  printf '%s\n' 'requirepass "canary"' 'odd "canary-two"' 'alone' >"$etc/a.conf"
  diff <(seen) - <<'SEEN'
drift=a.conf: odd = (not set) -> (secret)
drift=a.conf: a line that is not shown was added
SEEN
}

@test "what is told is bounded, and of one line each" {
  : >"$etc/a.properties"
  kept
  for ((n = 0; n < 50; n++)); do printf 'key%0300d=%0300d\t\e[1m\n' "$n" "$n"; done >"$etc/a.properties"
  [ "$(seen | wc -l)" -eq 20 ]
  [ "$(seen | tail -n 1)" = 'drift=and 31 more' ]
  [ "$(seen | wc -L)" -le 206 ]
  [ -z "$(seen | tr -d '[:print:]\n')" ]
  head -c 100000 /dev/zero | tr '\0' x >"$etc/a.properties"
  [ "$(seen)" = 'drift=a.properties: differs' ]
}

@test "keeping it counts as no change, and is done once" {
  echo x=1 >"$etc/a.properties"
  kept
  [ "$CHANGED" -eq 0 ]
  before=$(stat -c %i "$run"/written/*)
  kept
  [ "$before" = "$(stat -c %i "$run"/written/*)" ]
  [ "$(stat -c %a "$run"/written/0)" = 600 ]
}

@test "a copy that was cut off, or that was never made, says that the file differs" {
  echo x=1 >"$etc/a.properties"
  kept
  echo x=2 >"$etc/a.properties"
  sed -i '$d' "$run/written/0"
  [ "$(seen)" = 'drift=a.properties: differs' ]
  rm -r "$run/written"
  [ -z "$(seen)" ]
}
