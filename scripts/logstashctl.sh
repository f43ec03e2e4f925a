#!/usr/bin/env bash
# logstashctl.sh: Logstash with one pipeline. Healthy means: our process answers on the port of its API, says that it is green
# where it says so at all, its pipeline is among those that run, and each port of its inputs is open.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"

KIND=logstash
SUMMARY='Logstash: one pipeline of inputs, filters and outputs'
HOLDS_DATA=true
VERSIONS='6 7 8 9'
PORTS=port

# name | type | default | bounds | effect | help
PARAMETERS='
port            | port     | 9600      |          | restart | Port of its API, by which its health is asked
bind            | string   | 127.0.0.1 | 1..64    | restart | Address of its API. Nobody is asked for a password
node_name       | string   |           | ..100    | restart | What it calls itself; empty: the name of the service
pipeline        | text     | required  | 1..60000 | restart | Inputs, filters and outputs, in the words of Logstash. {password}, {second_password} and {data} are replaced
password        | secret   |           |          | restart | Becomes {password} in the pipeline, between double quotes
second_password | secret   |           |          | restart | Becomes {second_password}
input_ports     | string   |           | ..200    | none    | TCP ports that its inputs listen on, with commas between: each must be open
workers         | int      |           | 1..1000  | restart | Threads for filters and outputs; empty: one for each processor
batch_size      | int      | 125       | 1..100000 | restart | Events that a thread takes at a time
batch_delay     | int      | 50        | 1..60000 | restart | Milliseconds to wait until they are together
queue           | enum     | memory    | memory, persisted | restart | Where events wait; persisted: on the disk, so that a crash loses none
queue_size      | size     | 1gb       | 64mb..   | restart | Bound of a queue on the disk; inputs wait when it is full
dead_letters    | bool     | false     |          | restart | Keep events that an output refuses, in data/dead_letter_queue
max_heap        | size     | 1gb       | 128mb..  | restart | Memory for objects (-Xms and -Xmx)
jvm_options     | text     |           | ..8000   | restart | More options of the JVM, with blanks between, or one a line
java            | path     |           |          | restart | Java of the host, where there is neither a jdk package nor a jdk_service; empty: the one that the archive brings
jdk_service     | string   |           | ..48     | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
open_files      | int      |           | 1024..1000000 | restart | Most open files and connections; empty: 65536 by systemd, elsewhere as many as the account may have
log_level       | enum     | info      | info, warn, error, debug | restart | How much is written to the log
extra           | text     |           | ..16000  | restart | More settings of logstash.yml: name: value, one a line. Not for secrets
start_timeout   | duration | 5m        | 1s..1h   | none    | How long the start may take
stop_timeout    | duration | 2m        | 1s..1h   | restart | How long it may take to let its events go; then it is killed
'
PACKAGES='
server | required | archive with bin/logstash, config and logstash-core, as upstream publishes it | bin/logstash
jdk    | optional | archive with bin/java; goes before jdk_service | bin/java
'
VERBS='
meta 10  check_status 20  discover 15  install 900  configure 60  start 3600  stop 3600  restart 7200  uninstall 3600
purge 600
'

service_files() {
  CONFIG_FILES=("$etc/logstash.yml" "$etc/pipeline.conf" "$etc/jvm.options" "$etc/log4j2.properties" "$etc/environment")
  LINKS=(current jdk)
}

readonly ADDRESS='^([0-9.]+|\[[0-9A-Fa-f:.]+\])$'
readonly NOT_EXTRA='node\.name|(api\.)?http\.(host|port)|path\.(data|logs|config|settings)|pipeline\.(id|workers|batch\.(size|delay))|queue\.(type|max_bytes)|path\.queue|dead_letter_queue\.enable|path\.dead_letter_queue|config\.(string|reload\.automatic)|log\.level'

parameters_fit() {
  local name
  [[ ${PARAM[bind]} =~ $ADDRESS ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[node_name]} =~ ^[A-Za-z0-9._-]*$ ]] || problem node_name 'has something else than letters, digits and . _ -'
  [[ -z ${PARAM[input_ports]} || ${PARAM[input_ports]//[[:space:]]/} =~ ^[1-9][0-9]{0,4}(,[1-9][0-9]{0,4})*$ ]] || problem input_ports 'is not ports with commas between'
  for name in password second_password; do
    secret_text "$name"
    [[ $REPLY != *[[:cntrl:]]* && $REPLY != *\"* && ${#REPLY} -le 1000 ]] || problem "$name" 'has a control character or a double quote, or more than 1000 bytes'
    [[ ! $REPLY =~ \{(data|password|second_password)\}|\$\{ ]] || problem "$name" 'has {data}, {password}, {second_password} or a brace behind a dollar: these would be replaced'
    [[ ${PARAM[pipeline]} != *"{$name}"* || -n $REPLY ]] || problem "$name" "is in the pipeline, and there is no such secret"
  done
  jdk_service_fits
  jvm_options_fit
  yaml_fits extra "$NOT_EXTRA"
}

install() {
  local line version=''
  place_package server
  local -r folder=$REPLY
  program_of "$folder" bin/logstash
  [[ -r $folder/logstash-core/versions-gem-copy.yml ]] || fail "$NOT_INSTALLED" 'the package has no logstash-core/versions-gem-copy.yml'
  while IFS= read -r line; do
    [[ ! $line =~ ^logstash:\ *([0-9]+\.[0-9]+\.[0-9]+) ]] || version=${BASH_REMATCH[1]}
  done <"$folder/logstash-core/versions-gem-copy.yml"
  [[ -n $version ]] || fail "$DOCUMENT_WRONG" 'versions-gem-copy.yml of the package says no version of logstash'
  version_fits "$version"
  [[ -n ${PARAM[java]} ]] || PARAM[java]=$folder/jdk/bin/java
  find_java
  need_java "$REPLY" "$(case $version in [67].*) echo 8 ;; 8.*) echo 11 ;; *) echo 17 ;; esac)"
  use_package current "$folder"
  use_java
  installed_as "$version"
}

configure() {
  need_installed
  make_folders
  follow_jdk
  put "$etc/logstash.yml" < <(settings_yml)
  put "$etc/pipeline.conf" < <(pipeline_conf)
  put "$etc/jvm.options" < <(jvm_options)
  put "$etc/log4j2.properties" < <(console_log4j2 "${PARAM[log_level]}")
  java_home
  put "$etc/environment" < <(printf '%s\n' "LS_JAVA_HOME=$REPLY" "JAVA_HOME=$REPLY")
  configured
}

jvm_options() { java_home && kept_options "$current/config/jvm.options" "$REPLY" && own_options; }

settings_yml() {
  local http=http
  [[ ${INSTALLED[program]} == [67].* ]] || http=api.http
  printf '# Written by towline for the service %s; a change by hand is drift and is taken back.\n' "$service"
  yaml_text "${PARAM[node_name]:-$service}" && printf '"node.name": %s\n' "$REPLY"
  REPLY=${PARAM[bind]#[} && yaml_setting "$http.host" "${REPLY%]}"
  yaml_setting "$http.port" "${PARAM[port]}"
  yaml_setting path.data "$data"
  yaml_setting path.logs "$log_dir"
  yaml_setting path.config "$etc/pipeline.conf"
  [[ -z ${PARAM[workers]} ]] || yaml_setting pipeline.workers "${PARAM[workers]}"
  yaml_setting pipeline.batch.size "${PARAM[batch_size]}"
  yaml_setting pipeline.batch.delay "${PARAM[batch_delay]}"
  yaml_setting queue.type "${PARAM[queue]}"
  to_bytes "${PARAM[queue_size]}" && yaml_setting queue.max_bytes "${REPLY}b"
  yaml_setting dead_letter_queue.enable "${PARAM[dead_letters]}"
  yaml_setting log.level "${PARAM[log_level]}"
  yaml_lines extra
}

pipeline_conf() {
  local text=${PARAM[pipeline]%$'\n'} name
  for name in password second_password; do
    secret_text "$name"
    text=${text//"{$name}"/"$REPLY"}
  done
  salt
  printf '# %s: makes the digest of this file say nothing about a password\n%s\n' "$REPLY" "${text//'{data}'/"$data"}"
}

launch_command() {
  follow_jdk
  give_account
  mapfile -t LAUNCH_ENVIRONMENT <"$etc/environment"
  LAUNCH_FOLDER=$data
  LAUNCH_COMMAND=("$current/bin/logstash" --path.settings "$etc")
  never_root
  limited
}

unit_lines() { to_seconds "${PARAM[stop_timeout]}" && printf '%s\n' "LimitNOFILE=${PARAM[open_files]:-65536}" "TimeoutStopSec=$REPLY"; }

# What start waits for: that it runs its pipeline. What a pipeline writes to may come later.
healthy() {
  local port
  local -a ports
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  reachable "${PARAM[bind]}" && local -r address=$REPLY
  http_short "$address" "${PARAM[port]}" '/_node/pipelines' || { REASON="does not answer HTTP on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  [[ $HTTP_STATUS == 200 ]] || { REASON="answers HTTP $HTTP_STATUS when asked for its pipelines" && return 1; }
  [[ $REPLY =~ \"pipelines\":\{[^{]*\"main\": ]] || { REASON='its pipeline does not run' && return 1; }
  [[ ! $REPLY =~ \"status\":\"(yellow|red)\" ]] || { REASON="its status is ${BASH_REMATCH[1]}" && return 1; }
  IFS=, read -ra ports <<<"${PARAM[input_ports]//[[:space:]]/}"
  for port in ${ports[@]+"${ports[@]}"}; do
    listens "$port" || { REASON="its inputs do not listen on port $port" && return 1; }
  done
}

last_words() { last_cause; }

is_instance() { [[ ${EXE##*/} == java && " ${COMMAND[*]} " == *' org.logstash.Logstash '* ]]; } # for discover

instance_name() { # -> REPLY: the folder of its settings
  local -i index
  REPLY=logstash
  for ((index = 1; index < ${#COMMAND[@]}; index++)); do [[ ${COMMAND[index - 1]} != --path.settings ]] || REPLY=${COMMAND[index]}; done
}

run_verb "$@"
