#!/usr/bin/env bash
# mysqlctl.sh: MariaDB and MySQL, as a primary or a replica. Healthy means: our process listens on its port and answers a
# query on its private socket, in the role that is declared. A replica replicates and is not too far behind; a primary has
# all its replicas connected.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=common/sql.sh
. "${here:-./}common/sql.sh"
# shellcheck source=mysql/tables.sh
. "${here:-./}mysql/tables.sh"

KIND=mysql
SUMMARY='MariaDB and MySQL'
HOLDS_DATA=true
VERSIONS='8.0 8.4 9 10.5 10.6 10.11 11 12'
PORTS=port

# name | type | default | bounds | effect | help
PARAMETERS='
port                | port     | 3306      |               | restart | Port to listen on
bind                | string   | 127.0.0.1 | 1..200        | restart | Address to listen on; * for all
server_id           | int      | 1         | 1..4294967295 | restart | Every server of a replication has one of its own
buffer_pool_size    | size     | 128mb     | 5mb..         | reload  | Memory for the pages of InnoDB
max_connections     | int      | 151       | 10..100000    | reload  | Most clients at a time
max_allowed_packet  | size     | 64mb      | 1kb..1gb      | reload  | Longest statement or row
wait_timeout        | duration | 8h        | 1s..365d      | reload  | Close the connection of a client that is silent for so long
character_set       | string   | utf8mb4   | 1..32         | reload  | Of new databases
collation           | string   |           | ..64          | restart | Of new databases; empty: the one of the character set
sql_mode            | string   |           | ..500         | reload  | Words with commas between; empty: what the software has
flush_at_commit     | enum     | 1         | 0, 1, 2       | reload  | innodb_flush_log_at_trx_commit; 1: what is committed is on the disk
sync_binlog         | int      | 1         | 0..10000      | reload  | After how many commits the binary log is put on the disk; 0: the system decides
binlog              | bool     | true      |               | restart | Write a binary log: for replicas, and to recover to a moment
binlog_days         | int      | 7         | 0..99         | reload  | How long binary logs are kept; 0 for ever
slow_log            | bool     | false     |               | reload  | Write slow queries to log/slow.log
slow_after          | duration | 2s        | 0s..1h        | reload  | Which ones are slow
replica_of          | peer     |           |               | reload  | HOST:PORT of the primary; empty: this one is the primary
peers               | string   |           | ..2000        | none    | HOST:PORT of each other member, with commas between: a primary is degraded while fewer replicas are connected
replication_user    | string   |           | ..32          | reload  | Account that replicas log in with; made here, and used where replica_of is given
replication_password | secret  |           |               | reload  | Its password, 32 bytes at most
max_lag             | duration | 60s       | 1s..7d        | none    | A replica that is further behind is degraded
root_password       | secret   |           |               | reload  | Of root, on this host only; without it root is locked
database            | string   |           | ..64          | reload  | A database that is made where it is missing
user                | string   |           | ..32          | reload  | Account of the application, with all rights on that database
user_from           | string   | %         | 1..60         | reload  | From where the application may come: an address with % for any part
user_password       | secret   |           |               | reload  | Its password; without it the account is locked
monitor_user        | string   |           | ..32          | reload  | Account of an exporter on this host: it sees how the server is, and no data
monitor_password    | secret   |           |               | reload  | Its password; without it the account is locked
extra               | text     |           | ..4000        | restart | More lines for the section [mysqld]: name = value
start_timeout       | duration | 10m       | 1s..12h       | none    | How long making the data folder, recovery or an upgrade may take
stop_timeout        | duration | 5m        | 1s..1h        | none    | How long an orderly end may take
'
PACKAGES='
server | required | archive as upstream publishes it: bin/mariadbd or bin/mysqld, the client, share/ | bin/mariadbd,bin/mysqld
'
# parameter | from | form
CLUSTER='
server_id  | id      |
replica_of | primary | {address}:{port}
peers      | others  | {address}:{port}
'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 60  start 43200  stop 3600  restart 46800  reload 120
uninstall 3600  purge 600
'

service_files() {
  CONFIG_FILES=("$etc/my.cnf" "$etc/accounts.sql" "$etc/replica.sql" "$etc/client.cnf")
  LINKS=(current)
  socket=$run/mysql/mysql.sock
}

# What a line of extra may not set: parameters, places, and what loads or runs something.
readonly NOT_EXTRA='port bind_address server_id innodb_buffer_pool_size max_connections max_allowed_packet wait_timeout
character_set_server collation_server sql_mode innodb_flush_log_at_trx_commit sync_binlog log_bin binlog_expire_logs_seconds
expire_logs_days slow_query_log long_query_time read_only basedir datadir socket pid_file user tmpdir secure_file_priv log_error
slow_query_log_file plugin_dir plugin_load plugin_load_add early_plugin_load init_file init_connect init_slave init_replica
lc_messages_dir character_sets_dir grant_tables networking chroot daemonize bootstrap initialize_insecure help version
validate_config wsrep_provider wsrep_notify_cmd gtid_mode gtid_strict_mode log_slave_updates log_replica_updates'

parameters_fit() {
  local name
  peers_fit
  [[ ${PARAM[bind]} =~ ^(\*|[0-9A-Fa-f.:]+(,[0-9A-Fa-f.:]+)*)$ ]] || problem bind 'is no address'
  for name in character_set collation; do [[ ${PARAM[$name]} =~ ^[a-z0-9_]*$ ]] || problem "$name" 'is no name of one'; done
  accounts_fit
  [[ ${PARAM[database]} =~ ^[A-Za-z0-9_-]*$ ]] || problem database 'has something else than letters, digits and _ -'
  [[ ${PARAM[user_from]} =~ ^[A-Za-z0-9.:%/_-]+$ ]] || problem user_from 'is no address or pattern of one'
  [[ ${PARAM[sql_mode]} =~ ^[A-Z_]*(,[A-Z_]+)*$ ]] || problem sql_mode 'is not words with commas between'
  [[ -z ${PARAM[replica_of]} || -n ${PARAM[replication_user]} ]] || problem replication_user 'is needed for replica_of'
  for name in root_password user_password monitor_password replication_password; do
    secret_text "$name"
    [[ $REPLY != *[[:cntrl:]]* ]] || problem "$name" 'has a line end or another control character'
    ((${#REPLY} <= 128)) || problem "$name" 'is longer than 128 bytes'
  done
  ((${#REPLY} <= 32)) || problem replication_password 'is longer than 32 bytes, which is all that a replica can send'
  settings_fit extra "$NOT_EXTRA" '^wsrep_|_(dir|directory|dir_path)$'
}

program() { program_of "${1-$current}" bin/mariadbd bin/mysqld; } # program [FOLDER] -> REPLY
is_mariadb() { [[ -x $current/bin/mariadbd ]]; }

install() { install_program server --no-defaults --version; }

configure() {
  need_installed
  make_folders
  ((${#socket} <= 107)) || fail "$PERMISSION" "the socket's path is longer than the 107 bytes that a system allows: $socket"
  checked
  put "$etc/my.cnf" < <(my_cnf)
  put "$etc/client.cnf" < <(client_cnf)
  put "$etc/accounts.sql" < <(accounts_sql) # never by a here-document: it may be a file in /tmp
  put "$etc/replica.sql" < <(replica_sql)
  configured
}

# What the program itself refuses, the document gets back with its words, and the running one never sees.
checked() {
  local words
  local -r trial=$run/trial.cnf
  local -a judge=("--defaults-file=$trial" "--datadir=$run" "--tmpdir=$run" "--secure-file-priv=$run")
  my_cnf >"$trial"
  if ! cmp -s "$trial" "$etc/my.cnf"; then
    if is_mariadb; then judge+=(--help --verbose); else judge+=(--validate-config); fi
    program
    words=$("$REPLY" "${judge[@]}" 2>&1 >/dev/null) || words+='[ERROR] says no more'
  fi
  unlink "$trial"
  [[ ${words-} != *'[ERROR]'* ]] || fail "$DOCUMENT_WRONG" "the server refuses its configuration: ${words#*\[ERROR\] }"
}

my_cnf() {
  settings
  cat <<CONF
# Written by towline for the service $service; a change by hand is drift and is taken back.
[mysqld]
basedir = $current
datadir = $data/db
tmpdir = $data/tmp
secure_file_priv = $data/files
plugin_dir = $current/lib/plugin
lc_messages_dir = $current/share
character_sets_dir = $current/share/charsets
socket = $socket
pid_file = $run/mysql/mysql.pid
slow_query_log_file = $log_dir/slow.log
port = ${PARAM[port]}
bind_address = ${PARAM[bind]}
skip_name_resolve = ON
server_id = ${PARAM[server_id]}
relay_log = relay
${PARAM[collation]:+collation_server = ${PARAM[collation]}}
$(if is_mariadb; then printf '%s\n' gtid_strict_mode=ON log_slave_updates=ON; else printf '%s\n' gtid_mode=ON enforce_gtid_consistency=ON mysqlx=OFF; fi)
$(if [[ ${PARAM[binlog]} == true ]]; then echo log_bin = binlog; else echo skip_log_bin; fi)
$(printf '%s = %s\n' "${SETTINGS[@]}")
${PARAM[extra]}
CONF
}

settings() { # sets SETTINGS: name, value ... of what a running server takes too
  local name
  SETTINGS=(character_set_server "${PARAM[character_set]}" max_connections "${PARAM[max_connections]}")
  to_bytes "${PARAM[buffer_pool_size]}" && SETTINGS+=(innodb_buffer_pool_size "$REPLY")
  to_bytes "${PARAM[max_allowed_packet]}" && SETTINGS+=(max_allowed_packet "$((REPLY / 1024 * 1024))")
  to_seconds "${PARAM[wait_timeout]}" && SETTINGS+=(wait_timeout "$REPLY")
  to_seconds "${PARAM[slow_after]}" && SETTINGS+=(long_query_time "$REPLY")
  SETTINGS+=(slow_query_log "$([[ ${PARAM[slow_log]} == true ]] && echo 1 || echo 0)")
  SETTINGS+=(innodb_flush_log_at_trx_commit "${PARAM[flush_at_commit]}" sync_binlog "${PARAM[sync_binlog]}")
  SETTINGS+=(read_only "${PARAM[replica_of]:+1}")
  SETTINGS[-1]=${SETTINGS[-1]:-0}
  if is_mariadb; then SETTINGS+=(expire_logs_days "${PARAM[binlog_days]}"); else SETTINGS+=(binlog_expire_logs_seconds "$((PARAM[binlog_days] * 86400))"); fi
  [[ -z ${PARAM[sql_mode]} ]] || SETTINGS+=(sql_mode "${PARAM[sql_mode]}")
}

# client.cnf is how this script gets in: by the socket, with a password of its own that nobody else needs.
client_cnf() {
  random_word "$run/admin"
  printf '%s\n' '# how towline itself logs in' '[client]' 'user = towline' "password = $REPLY" "socket = $socket" \
    "character_sets_dir = $current/share/charsets"
}

launch_command() {
  local -a as_root=()
  local program_version=${INSTALLED[program]}
  keeper
  if ((UID == 0)) && [[ $REPLY == plain ]]; then as_root=(--user=root); fi # else the server refuses to run as root
  if is_mariadb; then data_goes_up "$data/db" MariaDB "$program_version"; else data_goes_up "$data/db" MySQL "$program_version"; fi
  mkdir -p "$data" "$log_dir" "$run/mysql"
  give_account
  own "$run/mysql"
  rm -f -- "$socket" "$socket.lock" # left by a kill, it names a pid that is somebody else's by now
  as_account mkdir -p "$data/tmp" "$data/files"
  program && LAUNCH_COMMAND=("$REPLY" "--defaults-file=$etc/my.cnf" "${as_root[@]+"${as_root[@]}"}")
  made_once "$data/db" initialise
  LAUNCH_COMMAND+=("--init-file=$etc/accounts.sql") LAUNCH_FOLDER=$data
}

# settle: the system tables of an older MariaDB are brought up (MySQL does so itself), and replication is as declared.
settle() {
  local words
  to_seconds "${PARAM[start_timeout]}" && deadline "$REPLY"
  wait_until answers_or_gone
  running || fail "$FAILED" "$service ended right after its start: $(last_words)"
  if ! tables_fit; then
    words=$(as_account "$current/bin/mariadb-upgrade" "--defaults-file=$etc/client.cnf" 2>&1) || fail "$FAILED" "mariadb-upgrade: ${words: -300}"
    note_tables
  fi
  replicate
  PARAM[start_timeout]=60s # it is up; what is left to wait for is its primary
}

answers_or_gone() { ! running || ask 'SELECT 1'; }

# MariaDB that is told to end in the midst of its start does neither, until it is killed.
before_end() { deadline 60 20 && { wait_until answers_or_gone || log 'does not answer; is told to end all the same'; }; }

replicate() {
  if noted replicates "$etc/replica.sql"; then return 0; fi
  said "$etc/replica.sql" 'its replication'
  take_note replicates "$etc/replica.sql"
}

declare -i REPLICAS=0
healthy() {
  local role=primary wanted=primary
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  ask "SELECT @@GLOBAL.read_only; SHOW REPLICA STATUS; ${PARAM[peers]:+$CONNECTED_REPLICAS}" || { REASON="answers no query within $PROBE_TIMEOUT_S s: ${REPLY:0:200}" && return 1; }
  [[ ! $REPLY =~ read_only:\ (1|ON) ]] || role=replica
  [[ ! $REPLY =~ replicas:\ ([0-9]+) ]] || REPLICAS=${BASH_REMATCH[1]}
  [[ -z ${PARAM[replica_of]} ]] || wanted=replica
  [[ $role == "$wanted" ]] || { REASON="is set up as a $role, should be a $wanted" && return 1; }
  tables_fit || { REASON='has the system tables of an older version: start it again' && return 1; }
  [[ $wanted == primary ]] || replicates
}

whole() { all_connected "$REPLICAS"; }

# Asked of the running server, without a restart and without a break for its clients.
reload() {
  need_installed
  running || fail "$FAILED" "$service does not run"
  ! needs_restart || fail "$NOT_INSTALLED" "needs a restart, not a reload: $REPLY"
  config_digest
  [[ ${IDENTITY[config]-} != "$REPLY" ]] || return 0
  said "$etc/accounts.sql" 'what its accounts are'
  settings
  set_globals "${SETTINGS[@]}"
  replicate
  wait_healthy 20
  reloaded
}

is_instance() { [[ ${EXE##*/} == mariadbd || ${EXE##*/} == mysqld ]]; } # for discover
instance_name() { REPLY=${EXE##*/}; }

run_verb "$@"
