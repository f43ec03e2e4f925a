#!/usr/bin/env bash
# kafkactl.sh: Kafka in KRaft mode, or 3 with ZooKeeper, alone or a member of a cluster. Healthy means: this node answers a metadata request
# and is in the answer, the controllers' leader answers through it, every partition has its leader and all replicas in sync.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=exporter/jmx.sh
. "${here:-./}exporter/jmx.sh"
# shellcheck source=kafka/protocol.sh
. "${here:-./}kafka/protocol.sh"
# shellcheck source=kafka/command.sh
. "${here:-./}kafka/command.sh"
# shellcheck source=kafka/storage.sh
. "${here:-./}kafka/storage.sh"
# shellcheck source=kafka/zookeeper.sh
. "${here:-./}kafka/zookeeper.sh"

KIND=kafka
SUMMARY='Kafka in KRaft mode, alone or a member of a cluster'
HOLDS_DATA=true
VERSIONS='3.3 3.4 3.5 3.6 3.7 3.8 3.9 4'
PORTS='port controller_port metrics_port'
METRICS='metrics_port /metrics'

# name | type | default | bounds | effect | help
PARAMETERS='
port                | port     | 9092      |          | restart | Port for clients and other brokers
bind                | string   | 127.0.0.1 | 1..64    | restart | Address to listen on. Nobody is asked for a password
advertised          | peer     |           |          | restart | HOST:PORT that clients and other brokers are told; empty: bind and port
roles               | enum     | both      | both, broker, controller | restart | What this node does
node_id             | int      | 1         | 0..2147483647 | restart | Its number in the cluster; stays what it was when the storage was formatted
voters              | string   |           | ..2000   | restart | Controllers of the cluster: ID@HOST:PORT, with commas between; empty: this node is alone
controller_port     | port     | 9093      |          | restart | Port for the controllers among themselves and for brokers
controller_bind     | string   | 127.0.0.1 | 1..64    | restart | Address for controller_port
zookeeper_connect   | string   |           | ..2000   | restart | Kafka 3 with its metadata in ZooKeeper: HOST:PORT, with commas between, and perhaps a /path; voters and the controller port then mean nothing
cluster_id          | string   |           | ..22     | restart | The same on all members (kafka-storage.sh random-uuid); empty, where it is alone: made when the storage is formatted
metadata_version    | string   |           | ..12     | restart | Raise the metadata to this version, such as 4.1; empty: stays as it is. Once raised, no older Kafka can read it
log_folders         | string   | log       | 1..1000  | restart | Folders below data/ for records, with blanks between; the first one also holds the metadata
partitions          | int      | 1         | 1..10000 | restart | Partitions of a topic that does not say how many
replication         | int      | 1         | 1..100   | restart | Replicas of a topic that does not say how many, and of the offsets and transactions
min_insync_replicas | int      | 1         | 1..100   | restart | Replicas that must have a record before acks=all is answered; not more than replication
auto_create_topics  | bool     | false     |          | restart | A topic comes into being when it is asked for
retention           | duration | 7d        | 1m..     | restart | How long records are kept
retention_size      | size     |           | 1mb..    | restart | The oldest records of a partition go when it takes more; empty: no bound
segment_size        | size     | 1gb       | 1mb..1gb | restart | A file of a partition is closed at this size; only closed ones are deleted
max_message_size    | size     | 1mb       | 1kb..1gb | restart | The largest batch of records that is taken
max_heap            | size     | 1gb       | 64mb..   | restart | Memory for objects (-Xms and -Xmx)
jvm_options         | text     |           | ..8000   | restart | More options of the JVM, with blanks between, or one a line
java                | path     | /usr/bin/java |      | restart | Java of the host, where there is neither a jdk package nor a jdk_service
jdk_service         | string   |           | ..48     | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
metrics_port        | port     |           |          | restart | Port for a page of metrics of the JVM, by the JMX exporter; empty: none
metrics_bind        | string   |           | ..64     | restart | Address for that page; empty: every one
metrics_rules       | text     |           | ..16000  | restart | Configuration of the JMX exporter, as YAML; empty: every value that there is
open_files          | int      |           | 1024..1000000 | restart | Most open files and connections; empty: 65536 by systemd, elsewhere as many as the account may have
log_level           | enum     | INFO      | INFO, WARN, ERROR, DEBUG | restart | How much is written to the log
properties          | text     |           | ..16000  | restart | More settings: name=value, one a line. Not for secrets
start_timeout       | duration | 2m        | 1s..1h   | none    | How long the start may take
stop_timeout        | duration | 1m        | 1s..1h   | restart | How long an orderly end may take; without a majority of the controllers it never ends, and is cut off then
'
PACKAGES='
server | required | archive with bin, libs and config, as upstream publishes it (kafka_2.13-VERSION.tgz) | bin/kafka-storage.sh libs/kafka-clients-*.jar
jdk    | optional | archive with bin/java; goes before jdk_service | bin/java
jmx    | optional | JMX exporter of Prometheus (jmx_prometheus_javaagent-VERSION.jar); needed for metrics_port
'
# parameter | from | form
CLUSTER='
node_id    | id      |
voters     | members | {id}@{address}:{controller_port}
advertised | address | {address}:{port}
'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  uninstall 3600
purge 600
'

service_files() {
  CONFIG_FILES=("$etc/server.properties" "$etc/logging.properties" "$etc/command")
  LINKS=(current jdk)
  jmx_files
}

readonly ADDRESS='^([0-9.]+|\[[0-9A-Fa-f:.]+\])$'
readonly VOTER='[0-9]{1,10}@([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}'
readonly TAKEN='(node|broker)\.id|zookeeper\.connect|process\.roles|(advertised\.)?listeners|listener\.security\.protocol\.map|inter\.broker\.listener\.name|controller\.listener\.names|controller\.quorum\.(voters|bootstrap\.servers)|(metadata\.)?log\.dirs?'
readonly TAKEN_BY_PARAMETERS='num\.partitions|default\.replication\.factor|(offsets\.topic|transaction\.state\.log)\.(replication\.factor|min\.isr)|min\.insync\.replicas|auto\.create\.topics\.enable|log\.retention\.(ms|minutes|hours|bytes)|log\.segment\.bytes|message\.max\.bytes'
parameters_fit() {
  local name line
  for name in bind controller_bind; do [[ ${PARAM[$name]} =~ $ADDRESS ]] || problem "$name" 'is no address (IPv6 in brackets)'; done
  [[ ${PARAM[bind]} != 0.0.0.0 && ${PARAM[bind]} != '[::]' || -n ${PARAM[advertised]} ]] || problem bind 'is every address: say in advertised which one clients use'
  [[ ${PARAM[cluster_id]} =~ ^([A-Za-z0-9_][A-Za-z0-9_-]{21})?$ ]] || problem cluster_id 'is not 22 characters of kafka-storage.sh random-uuid'
  [[ ${PARAM[metadata_version]} =~ ^([34]\.[0-9]{1,2}(-IV[0-9]{1,2})?)?$ ]] || problem metadata_version 'is no version such as 4.1'
  [[ ${PARAM[log_folders]}\  =~ ^([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\ +)+$ ]] || problem log_folders 'is not names of folders below data/'
  jdk_service_fits
  jmx_fits
  ((PARAM[min_insync_replicas] <= PARAM[replication])) || problem min_insync_replicas 'is more than replication'
  zookeeper_fits
  with_zookeeper || membership_fits
  while IFS= read -r line; do
    if [[ ! $line =~ ^([A-Za-z0-9][A-Za-z0-9._-]*=[\ -~]*)?$ ]]; then
      problem properties "has a line that is not name=value in printable ASCII: ${line%%=*}"
    elif [[ ${line%%=*} =~ ^($TAKEN|$TAKEN_BY_PARAMETERS)$ ]]; then
      problem properties "has ${line%%=*}, which is set by a parameter or by towline itself"
    fi
  done <<<"${PARAM[properties]}"
}

membership_fits() {
  local -r voters=",${PARAM[voters]//[[:space:]]/}" id=${PARAM[node_id]} # a blank in front is none
  if [[ -z ${PARAM[voters]} ]]; then
    [[ ${PARAM[roles]} == both ]] || problem roles 'a node that is alone is both: say voters'
  elif [[ ! ${voters#,} =~ ^$VOTER(,$VOTER)*$ ]]; then
    problem voters 'is not ID@HOST:PORT, with commas between'
  elif [[ ${PARAM[roles]} == broker ]]; then
    [[ $voters != *",$id@"* ]] || problem node_id 'is one of the voters, and those are controllers'
  else
    [[ $voters, =~ ",$id@"[^,]*:"${PARAM[controller_port]}", ]] || problem voters "has not this controller: $id@HOST:${PARAM[controller_port]}"
  fi
  [[ -z ${PARAM[voters]} || -n ${PARAM[cluster_id]} ]] || problem cluster_id 'is needed where there are voters'
}

is_broker() { [[ ${PARAM[roles]} != controller ]]; }
is_controller() { [[ ${PARAM[roles]} != broker ]] && ! with_zookeeper; }

install() {
  local -a jars
  place_package server
  local -r folder=$REPLY
  jars=("$folder"/libs/kafka-clients-[0-9]*.jar)
  [[ -f ${jars[0]} && -x $folder/bin/kafka-storage.sh ]] || fail "$NOT_INSTALLED" 'the package has no libs/kafka-clients-VERSION.jar and no bin/kafka-storage.sh'
  [[ ${jars[0]} =~ kafka-clients-([0-9]+\.[0-9.]*[0-9])[^/]*$ ]] && local -r version=${BASH_REMATCH[1]}
  version_fits "$version"
  find_java
  need_java "$REPLY" "$([[ $version == 3.* ]] && echo 8 || echo 17)"
  use_package current "$folder"
  use_java
  use_jmx
  installed_as "$version"
}

configure() {
  need_installed
  make_folders
  follow_jdk
  put "$etc/server.properties" < <(server_properties)
  put "$etc/logging.properties" < <(logging_properties)
  jmx_option
  put "$etc/command" < <(server_command "${WORDS[@]+"${WORDS[@]}"}")
  configured
}

bytes() { if [[ -z ${PARAM[$1]} ]]; then echo -1; else to_bytes "${PARAM[$1]}" && echo "$REPLY"; fi; }

server_properties() {
  log_folders
  echo "# Written by towline for the service $service; a change by hand is drift and is taken back."
  if with_zookeeper; then zookeeper_properties; else kraft_properties; fi
  to_seconds "${PARAM[retention]}"
  cat <<CONF
$(! is_broker || echo "advertised.listeners=PLAINTEXT://${PARAM[advertised]:-${PARAM[bind]}:${PARAM[port]}}")
num.partitions=${PARAM[partitions]}
default.replication.factor=${PARAM[replication]}
offsets.topic.replication.factor=${PARAM[replication]}
transaction.state.log.replication.factor=${PARAM[replication]}
transaction.state.log.min.isr=${PARAM[min_insync_replicas]}
min.insync.replicas=${PARAM[min_insync_replicas]}
auto.create.topics.enable=${PARAM[auto_create_topics]}
log.retention.ms=${REPLY}000
log.retention.bytes=$(bytes retention_size)
log.segment.bytes=$(bytes segment_size)
message.max.bytes=$(bytes max_message_size)
# The parameter properties
${PARAM[properties]//\\/\\\\}
CONF
}

kraft_properties() {
  local listeners='' id=${PARAM[node_id]} voters=${PARAM[voters]//[[:space:]]/}
  ! is_broker || listeners=PLAINTEXT://${PARAM[bind]}:${PARAM[port]}
  ! is_controller || listeners+=${listeners:+,}CONTROLLER://${PARAM[controller_bind]}:${PARAM[controller_port]}
  reachable "${PARAM[controller_bind]}" && [[ $REPLY != *:* ]] || REPLY="[$REPLY]"
  local -r alone="$id@$REPLY:${PARAM[controller_port]}"
  cat <<CONF
process.roles=$(! is_broker || printf broker)$([[ ${PARAM[roles]} != both ]] || printf ,)$(! is_controller || printf controller)
node.id=$id
controller.quorum.voters=${voters:-$alone}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
listeners=$listeners
log.dirs=$(IFS=, && echo "${LOG_FOLDERS[*]}")
metadata.log.dir=${LOG_FOLDERS[0]}
CONF
}

launch_command() {
  follow_jdk
  if with_zookeeper; then make_storage; else format_storage; fi
  mapfile -t LAUNCH_COMMAND <"$etc/command"
  LAUNCH_FOLDER=$data
  limited
}

unit_lines() { to_seconds "${PARAM[stop_timeout]}" && printf '%s\n' "LimitNOFILE=${PARAM[open_files]:-65536}" "TimeoutStopSec=$REPLY"; }

# settle: after each start. Only a broker can be asked to raise the metadata, and only one that answers.
settle() {
  with_zookeeper || { is_broker && [[ -n ${PARAM[metadata_version]} ]]; } || return 0
  ! with_zookeeper || outlive_session
  to_seconds "${PARAM[start_timeout]}"
  wait_healthy "$REPLY"
  if with_zookeeper; then note_cluster; else raise_metadata; fi
}

# What start waits for: this node itself.
healthy() {
  jmx_listens || return 1
  if is_controller; then listens "${PARAM[controller_port]}" || { REASON="does not listen on port ${PARAM[controller_port]}" && return 1; }; fi
  if ! is_broker; then
    ask_quorum "${PARAM[controller_bind]}" "${PARAM[controller_port]}" || { REASON="does not answer on port ${PARAM[controller_port]} within $PROBE_TIMEOUT_S s" && return 1; }
    return 0
  fi
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  ask_metadata || { REASON="does not answer a metadata request on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  [[ $BROKERS == *" ${PARAM[node_id]} "* ]] || { REASON="is not among the brokers of its cluster:$BROKERS" && return 1; }
  if with_zookeeper; then
    ((CONTROLLER >= 0)) || { REASON='its cluster has no controller: does ZooKeeper answer?' && return 1; }
    return 0
  fi
  ask_quorum "${PARAM[bind]}" "${PARAM[port]}" || REPLY=-1
  ((REPLY >= 0)) || { REASON='no leader of the controllers answers: a majority of them is needed' && return 1; }
}

# What the others do: partitions, and controllers that the leader has not heard of lately.
whole() {
  ((LEADERLESS == 0)) || { REASON="$LEADERLESS partitions have no leader" && return 1; }
  ((LAGGING == 0)) || { REASON="$LAGGING partitions have replicas that are not in sync" && return 1; }
  [[ -z $SILENT ]] || { REASON="controllers are missing:$SILENT" && return 1; }
}

is_instance() { [[ ${EXE##*/} == java && " ${COMMAND[*]} " == *' kafka.Kafka '* ]]; } # for discover
instance_name() { REPLY=${COMMAND[-1]}; }

run_verb "$@"
