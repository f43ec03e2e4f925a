#!/usr/bin/env bash
# mongodbctl.sh: MongoDB, alone or a member of a replica set. Healthy means: our process listens and answers `hello` as what it is
# declared to be; a member's set has a primary, all its members are reached, none of them recovers or is too far behind.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=mongodb/wire.sh
. "${here:-./}mongodb/wire.sh"
# shellcheck source=mongodb/scram.sh
. "${here:-./}mongodb/scram.sh"
# shellcheck source=mongodb/settings.sh
. "${here:-./}mongodb/settings.sh"
# shellcheck source=mongodb/accounts.sh
. "${here:-./}mongodb/accounts.sh"
# shellcheck source=mongodb/set.sh
. "${here:-./}mongodb/set.sh"

KIND=mongodb
SUMMARY='MongoDB, alone or a member of a replica set'
HOLDS_DATA=true
VERSIONS='4.4 5.0 6.0 7.0 8'
PORTS=port

# name | type | default | bounds | effect | help
PARAMETERS='
port                | port     | 27017     |          | restart | Port to listen on
bind                | string   | 127.0.0.1 | 1..200   | restart | Addresses to listen on, with commas between; 0.0.0.0 for all. The loopback address is always among them
data_folder         | string   | db        | 1..100   | restart | Folder below data/ for the data
folder_per_database | bool     | false     |          | restart | A folder for each database; only for data that begins with it
cache_size          | size     |           | 256mb..  | restart | Memory for the pages of WiredTiger; empty: half of the memory above 1 GB, as MongoDB does
max_connections     | int      | 20000     | 10..1000000 | restart | Most clients at a time
open_files          | int      | 64000     | 1024..1000000 | restart | Most open files and connections, where systemd keeps the service
slow_after          | duration | 1s        | 1s..1h   | restart | Operations that take longer stand in the log
log_verbosity       | int      | 0         | 0..5     | restart | How much is written to the log
feature_version     | string   |           | ..4      | reload  | Raise the format of the data (featureCompatibilityVersion) to this version, such as 8.0; empty: stays as it is. Once raised, no older MongoDB reads it
root_user           | string   | root      | 1..64    | reload  | Name of the administrator
root_password       | secret   |           |          | restart | Its password, in printable ASCII; with it everybody must log in, without it nobody
database            | string   |           | ..38     | reload  | Database of the application, where its account is kept (authSource)
user                | string   |           | ..64     | reload  | Account of the application
user_password       | secret   |           |          | reload  | Its password
user_roles          | string   | readWrite | 1..500   | reload  | What it may do: ROLE or ROLE@DATABASE, with commas between
replica_set         | string   |           | ..64     | restart | Name of the replica set; empty: this one is alone
members             | string   |           | ..2000   | reload  | HOST:PORT of each member, this one too, with commas between; the first one forms the set. Empty: this one only
advertised          | string   |           | ..253    | restart | Name or address under which the other members and clients reach this one; empty: the first of bind
keyfile             | secret   |           |          | restart | By which members know each other: 6 to 1024 characters of base64; several, one a line, while it is changed
oplog_size          | size     |           | 990mb..  | restart | What of the changes is kept for members that were away; empty: a twentieth of the disk. Only for data that begins with it
max_lag             | duration | 60s       | 1s..7d   | none    | A member that is further behind is degraded
extra               | text     |           | ..8000   | restart | More settings of mongod.conf: name.of.setting: value, one a line, or as YAML. Not for secrets
start_timeout       | duration | 5m        | 1s..12h  | none    | How long recovery, or forming the set, may take
stop_timeout        | duration | 2m        | 1s..1h   | restart | How long an orderly end may take
'
PACKAGES='
server | required | archive with bin/mongod, as upstream publishes it | bin/mongod
'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 60  start 43200  stop 3600  restart 46800  reload 300
uninstall 3600  purge 600
'
# parameter | from | form
CLUSTER='
members    | members | {address}:{port}
advertised | address |
'

service_files() {
  CONFIG_FILES=("$etc/mongod.conf" "$etc/accounts" "$etc/keyfile")
  LINKS=(current)
}

readonly HOST_NAME='([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])'
parameters_fit() {
  local name
  [[ ${PARAM[bind]} =~ ^(\*|[0-9A-Fa-f.:]+(,[0-9A-Fa-f.:]+)*)$ ]] || problem bind 'is not addresses with commas between'
  [[ ${PARAM[data_folder]} =~ ^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$ ]] || problem data_folder 'is no name of a folder below data/'
  [[ ${PARAM[feature_version]} =~ ^([4-9]\.[0-9])?$ ]] || problem feature_version 'is no version such as 8.0'
  for name in root_user user; do [[ ${PARAM[$name]} =~ ^[A-Za-z0-9_.-]*$ ]] || problem "$name" 'has something else than letters, digits and _ . -'; done
  [[ ${PARAM[database]} =~ ^[A-Za-z0-9_-]*$ ]] || problem database 'has something else than letters, digits and _ -'
  [[ ${PARAM[user_roles]} =~ ^[A-Za-z0-9_]+(@[A-Za-z0-9_-]+)?(,\ *[A-Za-z0-9_]+(@[A-Za-z0-9_-]+)?)*$ ]] || problem user_roles 'is not ROLE or ROLE@DATABASE, with commas between'
  secrets_fit
  membership_fits
  extra_fits
}

secrets_fit() {
  local name line root=''
  for name in root_password user_password; do
    secret_text "$name"
    [[ $REPLY != *[[:cntrl:]]* ]] || problem "$name" 'has a line end or another control character'
    ((${#REPLY} <= 512)) || problem "$name" 'is longer than 512 bytes'
    [[ $name == user_password ]] || root=$REPLY
  done
  [[ $root =~ ^[\ -~]*$ ]] || problem root_password 'has something else than printable ASCII'
  if [[ -n ${PARAM[user]} ]]; then
    [[ -n $REPLY ]] || problem user_password "is needed for the account ${PARAM[user]}"
    [[ -n $root ]] || problem root_password 'is needed where there is an account of the application'
    [[ -n ${PARAM[database]} ]] || problem database 'is needed where there is an account of the application'
    [[ ${PARAM[user]} != "${PARAM[root_user]}" || ${PARAM[database]} != admin ]] || problem user 'is the administrator'
  fi
  secret_text keyfile
  while [[ -n $REPLY ]] && IFS= read -r line; do
    [[ $line =~ ^[A-Za-z0-9+/=]{6,1024}$ ]] || problem keyfile 'has a line that is not 6 to 1024 characters of base64'
  done <<<"$REPLY"
  [[ -z $REPLY || (-n ${PARAM[replica_set]} && -n $root) ]] || problem keyfile 'is for a replica set with a root_password'
  [[ -z ${PARAM[replica_set]} || -z $root || -n $REPLY ]] || problem keyfile 'is needed where a replica set has a root_password: members log in, too'
}

membership_fits() {
  local -r name="$HOST_NAME:[1-9][0-9]{0,4}"
  [[ ${PARAM[advertised]} =~ ^($HOST_NAME)?$ ]] || problem advertised 'is no name or address of a host'
  if [[ -z ${PARAM[replica_set]} ]]; then
    [[ -z ${PARAM[members]} ]] || problem members 'is for a replica set: say replica_set'
    return 0
  fi
  [[ ${PARAM[replica_set]} =~ ^[A-Za-z0-9_.-]+$ ]] || problem replica_set 'has something else than letters, digits and _ . -'
  [[ -n ${PARAM[advertised]} || ! ${PARAM[bind]} =~ ^(\*|0\.0\.0\.0|::) ]] || problem bind 'is every address: say in advertised under which one others reach this one'
  [[ -n ${PARAM[members]} ]] || return 0
  [[ ${PARAM[members]} =~ ^$name(,\ *$name){0,6}$ ]] || { problem members 'is not HOST:PORT, with commas between, seven at most' && return 0; }
  own_name
  [[ ",${PARAM[members]// /}," == *",$REPLY,"* ]] || problem members "has not this one: $REPLY"
}

program() { program_of "${1-$current}" bin/mongod; } # program [FOLDER] -> REPLY

install() { install_program server --version; }

configure() {
  need_installed
  make_folders
  wanted_accounts
  checked
  put "$etc/accounts" < <(accounts_text) # never by a here-document: it may be a file in /tmp
  put "$etc/keyfile" < <(keyfile_text)
  put "$etc/mongod.conf" < <(mongod_conf)
  configured
}

has_keyfile() { secret_text keyfile && [[ -n $REPLY ]]; }

keyfile_text() {
  local line keys
  secret_text keyfile && keys=$REPLY
  salt
  printf '# %s\n' "$REPLY: makes the digest of this file say nothing about the keys"
  [[ -z $keys ]] || while IFS= read -r line; do printf -- '- %s\n' "$line"; done <<<"$keys"
}

# What the program itself refuses, the document gets back with its words, and the running one never sees.
checked() {
  local words
  local -r trial=$run/trial.conf
  mongod_conf >"$trial"
  if ! cmp -s "$trial" "$etc/mongod.conf"; then
    program
    words=$("$REPLY" --config "$trial" --outputConfig 2>&1 >/dev/null) || words="refused:${words:- it says no more}"
  fi
  unlink "$trial"
  [[ ${words-} != refused:* ]] || fail "$DOCUMENT_WRONG" "mongod refuses its configuration: ${words#refused:}"
}

launch_command() {
  mkdir -p "$data" "$log_dir" "$run/mongodb"
  give_account
  as_account mkdir -p "$data/${PARAM[data_folder]}"
  if [[ $(<"$etc/keyfile") == *$'\n- '* ]]; then
    put "$run/mongodb/keyfile" 0400 <"$etc/keyfile" # one that others than its owner may read, mongod refuses
    own "$run/mongodb/keyfile"
  else
    remove_file "$run/mongodb/keyfile"
  fi
  program
  LAUNCH_COMMAND=("$REPLY" --config "$etc/mongod.conf")
  LAUNCH_ENVIRONMENT=(GLIBC_TUNABLES=glibc.pthread.rseq=0) # what upstream's own unit says since 8.0
  LAUNCH_FOLDER=$data
}

unit_lines() {
  to_seconds "${PARAM[stop_timeout]}" && printf '%s\n' "LimitNOFILE=${PARAM[open_files]}" "TimeoutStopSec=$REPLY"
  [[ ! -e $run/mongodb/keyfile ]] || printf '%s\n' "ExecStartPre=/bin/chmod 0400 \"$run/mongodb/keyfile\""
}

# settle: after each start, what only the running server can be told; all of it is done once, and looked at afterwards.
settle() {
  to_seconds "${PARAM[start_timeout]}" && deadline "$REPLY"
  wait_until answers_or_gone || fail "$FAILED" "$service answers no hello on port ${PARAM[port]} within ${PARAM[start_timeout]}"
  running || fail "$FAILED" "$service ended right after its start: $(last_words)"
  ours_as_declared
}

answers_or_gone() { ! running || ask_hello; }

ours_as_declared() {
  if [[ -n ${PARAM[replica_set]} ]]; then
    join_set
    forget_gone
  fi
  make_accounts
  raise_features
}

# What start waits for: this one itself.
healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  ask_hello || { REASON="does not answer hello on port ${PARAM[port]}: $REPLY" && return 1; }
  [[ -z ${PARAM[replica_set]} ]] || return 0
  ! in_set || { REASON="is in the replica set ${ANSWER[setName]}, should be alone" && return 1; }
  [[ ${ANSWER[isWritablePrimary]-} == true ]] || { REASON='takes no writes' && return 1; }
}

whole() {
  IN_A_HURRY=1
  [[ -z ${PARAM[replica_set]} ]] || set_is_whole
}

# Asked of the running server: members, accounts, the format of the data.
reload() {
  need_installed
  running || fail "$FAILED" "$service does not run"
  ! needs_restart || fail "$NOT_INSTALLED" "needs a restart, not a reload: $REPLY"
  listening_ports "${IDENTITY[pid]}"
  ours_as_declared
  wait_healthy 20
  reloaded
}

is_instance() { [[ ${EXE##*/} == mongod ]]; } # for discover
instance_name() { REPLY=${EXE##*/}; }

run_verb "$@"
