# shellcheck shell=bash
# prelude.bash: what each test of the shared functions starts from: a service called `one` below a scratch prefix.

KIND=toy
SUMMARY='for tests'
HOLDS_DATA=false
VERSIONS='1 2.5'
PORTS=port
PARAMETERS='
port  | port     | 80   |         | restart | A port
size  | size     | 1mb  | 1kb..1gb | reload | A size
wait  | duration | 30s  | 1s..1h  | none    | A duration
name  | string   |      | ..5     | restart | A name
text  | text     |      | ..100   | restart | A text
level | enum     | low  | low, high | none  | A choice
must  | string   | required | 1..9 | restart | One that may not be left out
token | secret   |      |         | restart | A secret
'
PACKAGES='
server | required | its program
'
VERBS='meta 10  check_status 10'

service_files() { CONFIG_FILES=("$etc/a" "$etc/b") LINKS=(current); }

begin() {
  # bats reads files within a function, where declare means local: so the tested copy says global.
  cp -r "$BATS_TEST_DIRNAME"/../../../scripts/{common,common.sh,constant.sh} "$BATS_TEST_TMPDIR"
  sed -i 's/^declare /declare -g /' "$BATS_TEST_TMPDIR"/{common/*.sh,common.sh}
  # shellcheck source=../../../scripts/common.sh
  . "$BATS_TEST_TMPDIR/common.sh"
  read_table
  the_service one --prefix "$BATS_TEST_TMPDIR/prefix"
  make_folders
  mkdir -p "$prefix/packages"
}
