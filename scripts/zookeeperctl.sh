#!/usr/bin/env bash
# zookeeperctl.sh: ZooKeeper, alone or a member of an ensemble. Healthy means: our process answers `srvr` in the role that it
# should have, so its ensemble has a quorum; the leader also tells whether all the others follow it.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"

KIND=zookeeper
SUMMARY='ZooKeeper, alone or a member of an ensemble'
HOLDS_DATA=true
VERSIONS='3.8 3.9'
PORTS='port peer_port election_port'

# name | type | default | bounds | effect | help
PARAMETERS='
port            | port     | 2181          |             | restart | Port for clients
bind            | string   | 127.0.0.1     | 1..64       | restart | Address for clients. Nobody is asked for a password
myid            | int      | 1             | 1..255      | restart | Its number in the ensemble; stays what it was when its data was made
servers         | string   |               | ..4000      | restart | All of the ensemble: ID=HOST:PEER_PORT:ELECTION_PORT, with commas between, :observer behind those without a vote; empty: this one is alone
peer_port       | port     | 2888          |             | restart | Port of a leader for those that follow it
election_port   | port     | 3888          |             | restart | Port for elections
role            | enum     | participant   | participant, observer | restart | Whether it has a vote; observers make reading cheaper, not losing members
listen_on_all   | bool     | false         |             | restart | Ports of the ensemble on every address: where the name of this host leads to loopback on this host itself
tick_ms         | int      | 2000          | 100..60000  | restart | A tick, in milliseconds: of heartbeats, and of the two limits
init_limit      | int      | 10            | 1..1000     | restart | Ticks that a follower may take to get what it lacks
sync_limit      | int      | 5             | 1..1000     | restart | Ticks that a follower may be silent
max_connections | int      | 60            | 0..100000   | restart | Most connections of one client address; 0 for no bound
keep_snapshots  | int      | 3             | 3..1000     | restart | How many snapshots stay, with the transactions since
purge_hours     | int      | 24            | 0..8760     | restart | How often older ones go; 0 for never
commands        | string   |               | ..200       | restart | Four-letter words that are answered beside srvr and mntr, with commas between
max_heap        | size     | 512mb         | 64mb..      | restart | Memory for objects (-Xmx); all of the data is in it
jvm_options     | text     |               | ..8000      | restart | More options of the JVM, with blanks between, or one a line
java            | path     | /usr/bin/java |             | restart | Java of the host, where there is neither a jdk package nor a jdk_service
jdk_service     | string   |               | ..48        | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
log_level       | enum     | INFO          | INFO, WARN, ERROR, DEBUG | restart | How much is written to the log
properties      | text     |               | ..16000     | restart | More settings: name=value, one a line. Not for secrets
start_timeout   | duration | 2m            | 1s..1h      | none    | How long the start may take; in an ensemble it ends with a quorum
stop_timeout    | duration | 30s           | 1s..1h      | restart | How long an orderly end may take
'
PACKAGES='
server | required | archive with bin, conf and lib, as upstream publishes it (apache-zookeeper-VERSION-bin.tar.gz) | lib/zookeeper-*.jar
jdk    | optional | archive with bin/java; goes before jdk_service | bin/java
'
# parameter | from | form
CLUSTER='
myid    | id      |
servers | members | {id}={address}:{peer_port}:{election_port}:{role}
'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  uninstall 3600
purge 600
'

service_files() {
  CONFIG_FILES=("$etc/zoo.cfg" "$etc/logback.xml" "$etc/command")
  LINKS=(current jdk)
}

readonly SERVER='[1-9][0-9]{0,2}=([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4}){2}(:(participant|observer))?'
readonly TAKEN='tickTime|initLimit|syncLimit|data(Log)?Dir|(secureC|c)lientPort(Address)?|maxClientCnxns|autopurge\..*|admin\..*|4lw\.commands\.whitelist|server\..*|group\..*|weight\..*|peerType|quorumListenOnAllIPs|reconfigEnabled|standaloneEnabled|dynamicConfigFile'
parameters_fit() {
  local line
  [[ ${PARAM[bind]} =~ ^([0-9.]+|\[[0-9A-Fa-f:.]+\])$ ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[commands]} =~ ^([a-z]{4}(,\ *[a-z]{4})*)?$ ]] || problem commands 'is not words of four letters, with commas between'
  jdk_service_fits
  membership_fits
  while IFS= read -r line; do
    if [[ ! $line =~ ^([A-Za-z0-9][A-Za-z0-9._-]*=[\ -~]*)?$ ]]; then
      problem properties "has a line that is not name=value in printable ASCII: ${line%%=*}"
    elif [[ ${line%%=*} =~ ^($TAKEN)$ ]]; then
      problem properties "has ${line%%=*}, which is set by a parameter or by towline itself"
    fi
  done <<<"${PARAM[properties]}"
}

membership_fits() {
  local servers id said
  local -r twice=',([0-9]+)=.*,\1='
  the_servers && servers=$REPLY id=${PARAM[myid]}
  if [[ -z $servers ]]; then
    [[ ${PARAM[role]} == participant ]] || problem role 'one that is alone has the vote: say servers'
  elif [[ ! $servers =~ ^$SERVER(,$SERVER)*$ ]]; then
    problem servers 'is not ID=HOST:PEER_PORT:ELECTION_PORT, with commas between'
  elif [[ ! ,$servers, =~ ",$id="[^,=]*":${PARAM[peer_port]}:${PARAM[election_port]}"(:[a-z]+)?, ]]; then
    problem servers "has not this one: $id=HOST:${PARAM[peer_port]}:${PARAM[election_port]}"
  else
    said=${BASH_REMATCH[1]:-:participant}
    [[ $said == ":${PARAM[role]}" ]] || problem role "is ${PARAM[role]}, and servers says ${said#:}"
  fi
  [[ ! ,$servers =~ $twice ]] || problem servers 'has a number twice'
}

the_servers() { REPLY=${PARAM[servers]//[[:space:]]/}; } # -> REPLY: a blank behind a comma is none

install() {
  local -a jars
  place_package server
  local -r folder=$REPLY
  jars=("$folder"/lib/zookeeper-[0-9]*.jar)
  [[ -f ${jars[0]} && ${jars[0]} =~ zookeeper-([0-9]+\.[0-9.]*[0-9])[^/]*$ ]] || fail "$NOT_INSTALLED" 'the package has no lib/zookeeper-VERSION.jar'
  local -r version=${BASH_REMATCH[1]}
  version_fits "$version"
  find_java
  need_java "$REPLY" 8
  use_package current "$folder"
  use_java
  installed_as "$version"
}

configure() {
  need_installed
  make_folders
  follow_jdk
  put "$etc/zoo.cfg" < <(zoo_cfg)
  put "$etc/logback.xml" < <(logback_xml)
  put "$etc/command" < <(server_command)
  configured
}

zoo_cfg() {
  local address=${PARAM[bind]#[} one
  address=${address%]}
  cat <<CONF
# Written by towline for the service $service; a change by hand is drift and is taken back.
dataDir=$data
clientPort=${PARAM[port]}
clientPortAddress=$address
tickTime=${PARAM[tick_ms]}
initLimit=${PARAM[init_limit]}
syncLimit=${PARAM[sync_limit]}
maxClientCnxns=${PARAM[max_connections]}
autopurge.snapRetainCount=${PARAM[keep_snapshots]}
autopurge.purgeInterval=${PARAM[purge_hours]}
admin.enableServer=false
4lw.commands.whitelist=srvr, mntr${PARAM[commands]:+, ${PARAM[commands]}}
quorumListenOnAllIPs=${PARAM[listen_on_all]}
reconfigEnabled=false
CONF
  the_servers
  for one in ${REPLY//,/ }; do printf 'server.%s\n' "$one"; done
  [[ ${PARAM[role]} == participant ]] || echo peerType=observer
  printf '%s\n' '# The parameter properties' "${PARAM[properties]//\\/\\\\}"
}

logback_xml() { # all to standard output, which becomes log/<service>.log
  printf '%s\n' '<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender">' \
    '<encoder><pattern>%d{ISO8601} %-5p [%t:%C{1}] %m%n</pattern></encoder></appender>' \
    "<root level=\"${PARAM[log_level]}\"><appender-ref ref=\"out\"/></root></configuration>"
}

# As upstream's zkServer.sh would have it, without a port for JMX; one without memory ends, to be started again.
server_command() {
  java_program && local -r java=$REPLY
  to_bytes "${PARAM[max_heap]}" && local -r heap=$REPLY
  split_words "${PARAM[jvm_options]}"
  printf '%s\n' "$java" "-Xmx$heap" -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true "-Dzookeeper.log.dir=$log_dir" \
    "-Dlogback.configurationFile=$etc/logback.xml" ${WORDS[@]+"${WORDS[@]}"} -cp "$current/lib/*" \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$etc/zoo.cfg"
}

launch_command() {
  follow_jdk
  mkdir -p "$data" "$log_dir"
  give_account
  its_data
  mapfile -t LAUNCH_COMMAND <"$etc/command"
  LAUNCH_FOLDER=$data
}

# its_data: made by the server itself, with its number beside it; had-data, in the service's own folder, tells that there was
# some. That of another number is not started on, and what is gone (a disk that is not mounted) is not begun anew.
its_data() {
  local former=''
  if [[ -r $data/myid ]]; then read -r former <"$data/myid" || :; fi
  [[ -z $former || $former == "${PARAM[myid]}" ]] || fail "$DOCUMENT_WRONG" "parameter myid: $data is of server $former"
  [[ ! -e $service_dir/had-data || -d $data/version-2 ]] || fail "$FAILED" "its data is gone from $data: mount its disk, or purge the service to begin anew"
  [[ -z $former ]] || return 0
  as_account tee "$data/myid.new" >/dev/null <<<"${PARAM[myid]}"
  as_account sync "$data/myid.new"
  as_account mv -fT "$data/myid.new" "$data/myid"
}

settle() {
  [[ ! -e $service_dir/had-data ]] || return 0
  to_seconds "${PARAM[start_timeout]}"
  wait_healthy "$REPLY"
  put "$service_dir/had-data" <<<"${PARAM[myid]}"
}

unit_lines() { to_seconds "${PARAM[stop_timeout]}" && echo "TimeoutStopSec=$REPLY"; }

# ask WORD -> REPLY: what it says to four letters. It hangs up when it has said all.
ask() {
  reachable "${PARAM[bind]}"
  connect "$REPLY" "${PARAM[port]}" || { REPLY='' && return 1; }
  printf '%s' "$1" >&"$LINE" || :
  IFS= read -r -t "$PROBE_TIMEOUT_S" -N 65536 -u "$LINE" REPLY || :
  hang_up
  [[ -n $REPLY ]]
}

declare MODE=''
healthy() {
  local wanted='leader or follower'
  MODE=''
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  ask srvr || { REASON="does not answer srvr on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  [[ $REPLY != *'not currently serving'* ]] || { REASON='serves nobody: its ensemble has no quorum, or it has not found it yet' && return 1; }
  [[ $REPLY =~ Mode:\ ([a-z]+) ]] || { REASON="answers ${REPLY:0:100} to srvr" && return 1; }
  MODE=${BASH_REMATCH[1]}
  [[ ${PARAM[servers]} == *,* ]] || wanted=standalone
  [[ ${PARAM[role]} == participant ]] || wanted=observer
  [[ $wanted == *"$MODE"* ]] || { REASON="is $MODE, should be $wanted" && return 1; }
}

# The leader alone knows who follows it.
whole() {
  local -a servers
  local -i others=0
  local -r synced='zk_synced_(followers|observers)[[:space:]]+([0-9]+)(.*)'
  [[ $MODE == leader ]] || return 0
  the_servers && IFS=, read -ra servers <<<"$REPLY"
  ask mntr || { REASON="does not answer mntr on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  while [[ $REPLY =~ $synced ]]; do others+=${BASH_REMATCH[2]} REPLY=${BASH_REMATCH[3]}; done
  ((others >= ${#servers[@]} - 1)) || { REASON="$others of $((${#servers[@]} - 1)) other servers follow this leader" && return 1; }
}

is_instance() { [[ ${EXE##*/} == java && " ${COMMAND[*]} " == *' org.apache.zookeeper.server.quorum.QuorumPeerMain '* ]]; } # for discover
instance_name() { REPLY=${COMMAND[-1]}; }

run_verb "$@"
