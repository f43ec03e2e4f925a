#!/usr/bin/env bash
# redis_sentinelctl.sh: a Sentinel of Redis or Valkey. Healthy means: our process answers PING and knows its primary; the
# primary is up, and as many Sentinels agree as it takes to put another one in its place.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=redis/protocol.sh
. "${here:-./}redis/protocol.sh"

KIND=redis_sentinel
SUMMARY='Sentinel: watches a Redis or Valkey primary, and puts a replica in its place'
HOLDS_DATA=true
VERSIONS='5 6 7 8 9'
PORTS=port

# name | type | default | bounds | effect | help
PARAMETERS='
port             | port     | 26379     |         | restart | Port to listen on
bind             | string   | 127.0.0.1 | 1..200  | restart | Addresses to listen on, with blanks between. Nobody is asked for a password
group            | string   | primary   | 1..64   | restart | The name by which clients ask for the primary
primary          | peer     | required  |         | restart | HOST:PORT of the primary at the beginning; afterwards it remembers where the primary went
quorum           | int      | 2         | 1..100  | restart | So many Sentinels must see that the primary is down; to act, a majority of all must agree
down_after       | duration | 30s       | 1s..1h  | restart | A server that is silent for so long is down
failover_timeout | duration | 3m        | 1s..1d  | restart | How long putting another one in its place may take; twice that until the next try
parallel_syncs   | int      | 1         | 1..100  | restart | How many replicas turn to the new primary at a time
peers            | string   |           | ..2000  | none    | HOST:PORT of each other Sentinel, with commas between: degraded while fewer can be used
password         | secret   |           |         | restart | Of the servers that are watched
loglevel         | enum     | notice    | debug, verbose, notice, warning | restart | How much is written to the log
start_timeout    | duration | 60s       | 1s..1h  | none    | How long the start may take
stop_timeout     | duration | 60s       | 1s..1h  | none    | How long an orderly end may take
'
PACKAGES='
server | required | archive with bin/redis-server or bin/valkey-server | bin/redis-server,bin/valkey-server,redis-server,valkey-server
'
# parameter | from | form
CLUSTER='
peers | others | {address}:{port}
'
VERBS='
meta 10  check_status 15  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  uninstall 3600  purge 120
'

service_files() {
  CONFIG_FILES=("$etc/sentinel.conf" "$etc/password.conf")
  LINKS=(current)
}

parameters_fit() {
  [[ ${PARAM[bind]} =~ ^[0-9A-Fa-f.:*\ -]+$ ]] || problem bind 'has something else than addresses'
  [[ ${PARAM[group]} =~ ^[A-Za-z0-9._-]+$ ]] || problem group 'has something else than letters, digits and . _ -'
  peers_fit
  secret_text password
  [[ $REPLY != *[[:cntrl:]]* ]] || problem password 'has a line end or another control character'
  ((${#REPLY} <= 512)) || problem password 'is longer than 512 bytes'
}

program() { program_of "${1-$current}" bin/redis-server bin/valkey-server redis-server valkey-server; } # program [FOLDER] -> REPLY

install() { install_program server --version; }

configure() {
  need_installed
  make_folders
  put "$etc/sentinel.conf" < <(sentinel_conf)
  put "$etc/password.conf" < <(password_conf) # never by a here-document: it may be a file in /tmp
  configured
}

milliseconds() { to_seconds "${PARAM[$1]}" && echo "${REPLY}000"; }

# The line that says whom it watches is written by launch_command, which knows where the primary went.
sentinel_conf() {
  local -r group=${PARAM[group]}
  cat <<CONF
# Written by towline for the service $service; a change by hand is drift and is taken back.
bind ${PARAM[bind]}
port ${PARAM[port]}
protected-mode no
dir "$data"
loglevel ${PARAM[loglevel]}
logfile ""
daemonize no
$(resolve_names)
# sentinel monitor $group ${PARAM[primary]%:*} ${PARAM[primary]##*:} ${PARAM[quorum]}
sentinel down-after-milliseconds $group $(milliseconds down_after)
sentinel failover-timeout $group $(milliseconds failover_timeout)
sentinel parallel-syncs $group ${PARAM[parallel_syncs]}
CONF
}

resolve_names() { # there since 6.2, and needed only for names
  [[ ${PARAM[primary]%:*} =~ ^[0-9.]+$|^\[ || ${INSTALLED[program]} =~ ^([1-5]|6\.[01])\. ]] || echo 'sentinel resolve-hostnames yes'
}

password_conf() {
  local password
  secret_text password && password=${REPLY//\\/\\\\} password=${password//\"/\\\"}
  salt
  printf '%s\n' "# $REPLY: makes the digest of this file say nothing about the password"
  [[ -z $password ]] || printf 'sentinel auth-pass %s "%s"\n' "${PARAM[group]}" "$password"
}

launch_command() {
  mkdir -p "$data" "$log_dir"
  give_account
  live_conf | as_account tee "$data/sentinel.conf.new" >/dev/null
  as_account sync "$data/sentinel.conf.new"
  as_account mv -fT "$data/sentinel.conf.new" "$data/sentinel.conf"
  program
  LAUNCH_COMMAND=("$REPLY" "$data/sentinel.conf" --sentinel)
  LAUNCH_FOLDER=$data
}

# live_conf: what it is started with, and rewrites itself: our own lines, whom it watches, and what it has found out.
live_conf() {
  local line address=${PARAM[primary]%:*} port=${PARAM[primary]##*:}
  local -r group=${PARAM[group]}
  local -a found=()
  if [[ -e $data/sentinel.conf ]]; then
    while IFS= read -r line; do
      if [[ $line =~ ^sentinel\ monitor\ "$group"\ ([^\ ]+)\ ([0-9]+)\  ]]; then
        address=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}
      elif [[ $line =~ ^sentinel\ (myid|current-epoch|((config|leader)-epoch|known-(replica|slave|sentinel))\ "$group")\  ]]; then
        found+=("$line")
      fi
    done < <(as_account cat "$data/sentinel.conf")
  fi
  address=${address#[} address=${address%]}
  while IFS= read -r line; do
    [[ $line != '# sentinel monitor '* ]] || line="sentinel monitor $group $address $port ${PARAM[quorum]}"
    [[ $line == '#'* ]] || printf '%s\n' "$line"
  done < <(cat "$etc/sentinel.conf" "$etc/password.conf")
  printf '%s\n' ${found[@]+"${found[@]}"}
}

healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  open_line || { REASON=$REPLY && return 1; }
  ask PING || { REASON="answers ${REPLY:0:100} to PING" && return 1; }
  [[ $REPLY == PONG ]] || { REASON="answers ${REPLY:0:100} to PING" && return 1; }
  ask SENTINEL MASTER "${PARAM[group]}" || { REASON="knows no primary ${PARAM[group]}: ${REPLY:0:100}" && return 1; }
  told_of_primary "$REPLY"
}

# told_of_primary PARTS: the answer's names and values.
declare PRIMARY='' FLAGS=''
told_of_primary() {
  local name='' address=''
  local -i pieces=$1
  PRIMARY='' FLAGS=''
  for (( ; pieces > 1; pieces -= 2)); do
    part || { REASON='does not tell all of its primary' && return 1; }
    name=$REPLY
    part || { REASON='does not tell all of its primary' && return 1; }
    case $name in ip) address=$REPLY ;; port) PRIMARY=$address:$REPLY ;; flags) FLAGS=$REPLY ;; esac
  done
}

whole() {
  local -a peers=()
  [[ $FLAGS != *_down* ]] || { REASON="the primary $PRIMARY is down ($FLAGS)" && return 1; }
  ask SENTINEL CKQUORUM "${PARAM[group]}" || { REASON=${REPLY:0:200} && return 1; }
  IFS=, read -ra peers <<<"${PARAM[peers]}"
  [[ $REPLY =~ OK\ ([0-9]+) ]] || { REASON="answers ${REPLY:0:100} to SENTINEL CKQUORUM" && return 1; }
  ((BASH_REMATCH[1] > ${#peers[@]})) || { REASON="${BASH_REMATCH[1]} of $((${#peers[@]} + 1)) Sentinels can be used" && return 1; }
}

# What it remembers stays, and not the password of the servers.
uninstall() {
  stop
  if [[ -e $data/sentinel.conf ]] && as_account grep -q '^sentinel auth-pass ' "$data/sentinel.conf"; then
    as_account sed -i '/^sentinel auth-pass /d' "$data/sentinel.conf"
    did "took the password out of $data/sentinel.conf"
  fi
  forget_unit
  release_packages "${LINKS[@]}"
  forget_former
  [[ ! -d $etc ]] || remove_tree "$etc"
  [[ ! -d $run ]] || remove_tree "$run"
}

is_instance() { [[ ${EXE##*/} == *-server && " ${COMMAND[*]} " == *sentinel* ]]; } # for discover
instance_name() { REPLY=${EXE##*/}; }

run_verb "$@"
