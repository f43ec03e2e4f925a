#!/usr/bin/env bash
# redisctl.sh: Redis and Valkey, as a primary or a replica. Healthy means: PING is answered, by the process that we
# started, and its role is the declared one (a replica: with its link to the primary up; a primary: all replicas connected).
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=redis/protocol.sh
. "${here:-./}redis/protocol.sh"

KIND=redis
SUMMARY='Redis and Valkey'
HOLDS_DATA=true
VERSIONS='5 6 7 8 9'
PORTS=port

# name | type | default | bounds | effect | help
PARAMETERS='
port             | port     | 6379           |           | restart | Port to listen on
bind             | string   | 127.0.0.1      | 1..200    | restart | Addresses to listen on, with blanks between
databases        | int      | 16             | 1..10000  | restart | Number of databases
maxmemory        | size     | 256mb          | 1mb..     | reload  | Memory for data; what happens beyond it, maxmemory_policy says
maxmemory_policy | enum     | noeviction     | noeviction, allkeys-lru, allkeys-lfu, allkeys-random, volatile-lru, volatile-lfu, volatile-random, volatile-ttl | reload | Which keys go when the memory is full
save             | string   | 3600 1 300 100 | ..100     | reload  | Snapshots: pairs of seconds and changes; empty for none
appendonly       | bool     | false          |           | reload  | Keep a log of every change, for durability
timeout          | duration | 0s             |           | reload  | Close the connection of a client that is silent for so long; 0s for never
maxclients       | int      | 10000          | 1..100000 | reload  | Most clients at a time
loglevel         | enum     | notice         | debug, verbose, notice, warning | reload | How much is written to the log
replica_of       | peer     |                |           | reload  | HOST:PORT of the primary; empty: this one is the primary
peers            | string   |                | ..2000    | none    | HOST:PORT of each other member, with commas between: a primary is degraded while fewer replicas are connected
failover         | enum     | none           | none, sentinel | restart | sentinel: Sentinels decide who the primary is, and replica_of is only where this one begins
password         | secret   |                |           | restart | Clients must send it; a replica sends it to its primary
start_timeout    | duration | 60s            | 1s..1h    | none    | How long loading the data may take
stop_timeout     | duration | 60s            | 1s..1h    | none    | How long saving the data may take
'
PACKAGES='
server | required | archive with bin/redis-server or bin/valkey-server | bin/redis-server,bin/valkey-server,redis-server,valkey-server
'
# parameter | from | form
CLUSTER='
replica_of | primary | {address}:{port}
peers      | others  | {address}:{port}
'
VERBS='
meta 10  check_status 15  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  reload 30
uninstall 3600  purge 120
'

service_files() {
  CONFIG_FILES=("$etc/redis.conf" "$etc/password.conf")
  LINKS=(current)
}

parameters_fit() {
  [[ ${PARAM[bind]} =~ ^[0-9A-Fa-f.:*\ -]+$ ]] || problem bind "has something else than addresses"
  [[ ${PARAM[save]} =~ ^([1-9][0-9]{0,9}\ +[1-9][0-9]{0,9}\ *)*$ ]] || problem save "is not pairs of seconds and changes"
  peers_fit
  secret_text password
  [[ $REPLY != *[[:cntrl:]]* ]] || problem password "has a line end or another control character"
  ((${#REPLY} <= 512)) || problem password "is longer than 512 bytes"
}

# program [FOLDER] -> REPLY: the server of the package in use.
program() { program_of "${1-$current}" bin/redis-server bin/valkey-server redis-server valkey-server; }

install() { install_program server --version; }

configure() {
  make_folders
  to_bytes "${PARAM[maxmemory]}" && local -r bytes=$REPLY
  to_seconds "${PARAM[timeout]}" && local -r silence=$REPLY
  put "$etc/redis.conf" <<CONF
# Written by towline for the service $service; a change by hand is drift and is taken back.
bind ${PARAM[bind]}
port ${PARAM[port]}
databases ${PARAM[databases]}
maxclients ${PARAM[maxclients]}
timeout $silence
maxmemory $bytes
maxmemory-policy ${PARAM[maxmemory_policy]}
save "${PARAM[save]}"
appendonly $(yes_no appendonly)
loglevel ${PARAM[loglevel]}
logfile ""
daemonize no
dir "$data"
dbfilename dump.rdb
$(under_sentinels || follows)
include "$etc/password.conf"
CONF
  password_conf
  configured
}

under_sentinels() { [[ ${PARAM[failover]} == sentinel ]]; }
follows() { [[ -z ${PARAM[replica_of]} ]] || echo "replicaof ${PARAM[replica_of]%:*} ${PARAM[replica_of]##*:}"; }

# its_role: Sentinels let the server rewrite the file that it was started with. That is data/role.conf, of which the role
# stays, as they left it; all else is read from our own file, which nobody rewrites.
its_role() {
  local role='' line
  mkdir -p "$data" "$log_dir"
  give_account
  if [[ -e $data/role.conf ]]; then
    while IFS= read -r line; do [[ $line != replicaof\ * ]] || role=$line; done < <(as_account cat "$data/role.conf")
  else
    role=$(follows)
  fi
  printf '%s\n' "include \"$etc/redis.conf\"" "$role" | as_account tee "$data/role.conf.new" >/dev/null
  as_account sync "$data/role.conf.new"
  as_account mv -fT "$data/role.conf.new" "$data/role.conf"
}

yes_no() { if [[ ${PARAM[$1]} == true ]]; then echo yes; else echo no; fi; }

# In a file of its own: the only place where the password stands.
password_conf() {
  local password text
  secret_text password && password=${REPLY//\\/\\\\} password=${password//\"/\\\"}
  salt
  text="# $REPLY: makes the digest of this file say nothing about the password"
  [[ -z $password ]] || text+=$'\n'"requirepass \"$password\""$'\n'"masterauth \"$password\""
  put "$etc/password.conf" < <(printf '%s\n' "$text") # never by a here-document: it may be a file in /tmp
}

configured_password() { # -> REPLY
  local line
  REPLY=''
  while IFS= read -r line; do
    [[ $line == requirepass* ]] || continue
    line=${line#requirepass \"}
    line=${line%\"} line=${line//$'\\\\'/$'\1'} line=${line//$'\\"'/'"'} # a password has no control characters
    REPLY=${line//$'\1'/$'\\'}
  done <"$etc/password.conf"
}

talk() { # opens the connection, and says the password on it
  open_line || return 1
  configured_password
  [[ -z $REPLY ]] || ask AUTH "$REPLY"
}

launch_command() {
  local file=$etc/redis.conf
  ! under_sentinels || { its_role && file=$data/role.conf; }
  program
  LAUNCH_COMMAND=("$REPLY" "$file")
  LAUNCH_FOLDER=$data
}

healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  talk || { REASON=$REPLY && return 1; }
  ask PING || { REASON="answers ${REPLY:0:100} to PING" && return 1; }
  [[ $REPLY == PONG ]] || { REASON="answers ${REPLY:0:100} to PING" && return 1; }
  if ! ask ROLE || ! part; then REASON="answers ${REPLY:0:100} to ROLE" && return 1; fi
  role_is_wanted
}

# role_is_wanted: of the answer whose first part is in REPLY; the next ones are of a master its offset and its replicas
# that are up to date, of a slave host and port of its primary, and how the link to it is.
declare -i REPLICAS=0
declare ROLE=''
role_is_wanted() {
  local wanted=master role=$REPLY
  [[ -z ${PARAM[replica_of]} ]] || wanted=slave
  ! under_sentinels || wanted=$role
  [[ $role == "$wanted" ]] || { REASON="is $role, should be $wanted" && return 1; }
  if [[ $role == master ]]; then
    if ! part || ! part; then REASON='tells nothing of its replicas' && return 1; fi
    REPLICAS=$REPLY
  elif ! part || ! part || ! part || [[ $REPLY != connected ]]; then
    REASON="has no link to its primary ${PARAM[replica_of]}"
    ! under_sentinels || REASON='has no link to its primary'
    return 1
  fi
  ROLE=$role
  hang_up
}

whole() {
  ! under_sentinels || { [[ $ROLE == master ]] && PARAM[replica_of]=''; } || return 0
  all_connected "$REPLICAS"
}

# Asked of the running process, without a restart and without a break for its clients.
reload() {
  need_installed
  running || fail "$FAILED" "$service does not run"
  ! needs_restart || fail "$NOT_INSTALLED" "needs a restart, not a reload: $REPLY"
  talk || fail "$FAILED" "$REPLY"
  to_bytes "${PARAM[maxmemory]}" && told maxmemory "$REPLY"
  to_seconds "${PARAM[timeout]}" && told timeout "$REPLY"
  told maxmemory-policy "${PARAM[maxmemory_policy]}"
  told maxclients "${PARAM[maxclients]}"
  told save "${PARAM[save]}"
  told appendonly "$(yes_no appendonly)"
  told loglevel "${PARAM[loglevel]}"
  local -a primary=(NO ONE)
  [[ -z ${PARAM[replica_of]} ]] || primary=("${PARAM[replica_of]%:*}" "${PARAM[replica_of]##*:}")
  under_sentinels || ask REPLICAOF "${primary[@]}" || fail "$FAILED" "refuses REPLICAOF: $REPLY"
  hang_up
  wait_healthy 20
  reloaded
}

told() { ask CONFIG SET "$1" "$2" || fail "$FAILED" "refuses $1: $REPLY"; }

is_instance() { [[ ${EXE##*/} == redis-server || ${EXE##*/} == valkey-server ]]; } # for discover
instance_name() { REPLY=${EXE##*/}; }

run_verb "$@"
