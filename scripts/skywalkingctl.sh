#!/usr/bin/env bash
# skywalkingctl.sh: Apache SkyWalking's OAP, or its web UI. Healthy means: our process listens, and OAP answers a GraphQL query for its
# version and takes in spans on its gRPC port; the web UI answers HTTP, and what it shows it has from an OAP that answers.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=skywalking/settings.sh
. "${here:-./}skywalking/settings.sh"

KIND=skywalking
SUMMARY='Apache SkyWalking: OAP or web UI'
HOLDS_DATA=true
VERSIONS='9 10'
PORTS='port grpc_port metrics_port'

# name | type | default | bounds | effect | help
PARAMETERS='
role             | enum     | oap       | oap, ui  | restart | What this service is: OAP, which takes in and stores, or the web UI
port             | port     | 12800     |          | restart | OAP: for queries (REST, GraphQL). UI: for browsers
grpc_port        | port     | 11800     |          | restart | OAP: for agents
metrics_port     | port     |           |          | restart | OAP: its own metrics for Prometheus; empty: none
bind             | string   | 127.0.0.1 | 1..64    | restart | OAP: address to listen on; nobody is asked for a password. The UI listens on every address
oap_addresses    | string   | http://127.0.0.1:12800 | 1..1000 | restart | UI: http://HOST:PORT of each OAP, with commas between
storage          | enum     | h2        | h2, elasticsearch, mysql, postgresql | restart | OAP: where it stores; h2 is a file in data/, for trying out
storage_url      | string   |           | ..1000   | restart | elasticsearch: HOST:PORT of its nodes, with commas between; mysql, postgresql: jdbc:...; h2: empty, or jdbc:h2:...
storage_protocol | enum     | http      | http, https | restart | How Elasticsearch is asked
storage_namespace | string  |           | ..64     | restart | Elasticsearch: what names of indexes begin with, where several SkyWalkings share it
storage_user     | string   |           | ..128    | restart | Account at the storage
storage_password | secret   |           |          | restart | Its password, in printable ASCII
records_kept     | int      | 3         | 1..3650  | restart | Days that traces and logs are kept
metrics_kept     | int      | 7         | 1..3650  | restart | Days that metrics are kept
max_heap         | size     | 1gb       | 64mb..   | restart | Memory for objects (-Xms and -Xmx)
jvm_options      | text     |           | ..8000   | restart | More options of the JVM, with blanks between, or one a line
java             | path     | /usr/bin/java |      | restart | Java of the host, where there is neither a jdk package nor a jdk_service
jdk_service      | string   |           | ..48     | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
log_level        | enum     | INFO      | INFO, WARN, ERROR, DEBUG | restart | How much is written to the log
extra            | text     |           | ..16000  | restart | More settings, by the names that application.yml has for them: SW_NAME=value, one a line. Not for secrets
start_timeout    | duration | 5m        | 1s..1h   | none    | How long the start may take; the first one makes tables or indexes
stop_timeout     | duration | 1m        | 1s..1h   | restart | How long an orderly end may take
'
PACKAGES='
server | required | archive as upstream publishes it (apache-skywalking-apm-VERSION.tar.gz): oap-libs, config, webapp | oap-libs/server-core-*.jar
driver | optional | jar with the JDBC driver, for mysql, which upstream leaves out
jdk    | optional | archive with bin/java; goes before jdk_service | bin/java
'
METRICS='metrics_port /metrics'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  uninstall 3600
purge 600
'

service_files() {
  CONFIG_FILES=("$etc/config/application.yml" "$etc/config/log4j2.xml" "$etc/command")
  LINKS=(current driver jdk)
}

is_ui() { [[ ${PARAM[role]} == ui ]]; }

parameters_fit() {
  local -r nodes='[A-Za-z0-9][A-Za-z0-9._-]*:[1-9][0-9]{0,4}'
  [[ ${PARAM[bind]} =~ ^([0-9.]+|[0-9A-Fa-f:]+)$ ]] || problem bind 'is no address'
  [[ ${PARAM[oap_addresses]} =~ ^https?://$nodes(,https?://$nodes)*$ ]] || problem oap_addresses 'is not http://HOST:PORT, with commas between'
  [[ ${PARAM[storage_url]} =~ ^[!-~]*$ ]] || problem storage_url 'has something else than printable ASCII'
  [[ ${PARAM[storage_user]} =~ ^[\ -~]*$ ]] || problem storage_user 'has something else than printable ASCII'
  [[ ${PARAM[storage_namespace]} =~ ^[a-z0-9_-]*$ ]] || problem storage_namespace 'has something else than a-z, digits and _ -'
  case ${PARAM[storage]} in
    h2) [[ ${PARAM[storage_url]} =~ ^(jdbc:h2:.+)?$ ]] || problem storage_url 'is not jdbc:h2:...' ;;
    elasticsearch) [[ ${PARAM[storage_url]} =~ ^$nodes(,$nodes)*$ ]] || problem storage_url 'is not HOST:PORT of nodes, with commas between' ;;
    *) [[ ${PARAM[storage_url]} == "jdbc:${PARAM[storage]}://"?* ]] || problem storage_url "is not jdbc:${PARAM[storage]}://..." ;;
  esac
  secret_text storage_password
  [[ $REPLY =~ ^[\ -~]*$ ]] || problem storage_password 'has something else than printable ASCII'
  ((${#REPLY} <= 512)) || problem storage_password 'is longer than 512 bytes'
  jdk_service_fits
  extra_fits
}

install() {
  local -a jars
  place_package server
  local -r folder=$REPLY
  jars=("$folder"/oap-libs/server-core-[0-9]*.jar)
  [[ -f ${jars[0]} && -r $folder/config/application.yml ]] || fail "$NOT_INSTALLED" 'the package has no oap-libs/server-core-VERSION.jar and no config/application.yml'
  [[ ${jars[0]} =~ server-core-([0-9]+\.[0-9.]*[0-9])[^/]*$ ]] && local -r version=${BASH_REMATCH[1]}
  version_fits "$version"
  ! is_ui || [[ -f $folder/webapp/skywalking-webapp.jar ]] || fail "$NOT_INSTALLED" 'the package has no webapp/skywalking-webapp.jar'
  find_java
  need_java "$REPLY" 11
  use_package current "$folder"
  use_java
  if [[ -n ${TOWLINE_PACKAGE_driver-} ]]; then
    place_package driver
    use_package driver "$REPLY"
  else
    release_packages driver
  fi
  installed_as "$version"
}

configure() {
  local from=$current/config/application.yml
  need_installed
  make_folders
  follow_jdk
  ! is_ui || from=$current/webapp/application.yml
  [[ -r $from ]] || fail "$NOT_INSTALLED" "the package has no ${from#"$current"/}"
  wanted_settings
  filled "$from"
  [[ -z $MISSING ]] || fail "$DOCUMENT_WRONG" "parameter extra or storage: ${INSTALLED[program]} has no place in its application.yml for$MISSING"
  mkdir -p "$etc/config"
  put "$etc/config/application.yml" < <(settings_text) # never by a here-document: it may be a file in /tmp
  put "$etc/config/log4j2.xml" < <(logging_xml)
  put "$etc/command" < <(server_command)
  configured
}

# As upstream's oapService.sh and webappService.sh would have it; what is not in our config/ is found in the package's.
server_command() {
  local -a main=(-cp "$etc/config:$current/config:$current/oap-libs/*:$service_dir/driver/*" org.apache.skywalking.oap.server.starter.OAPServerStartUp)
  java_program && local -r java=$REPLY
  ! is_ui || main=(-cp "$etc/config:$current/webapp:$current/webapp/skywalking-webapp.jar" org.apache.skywalking.oap.server.webapp.ApplicationStartUp)
  to_bytes "${PARAM[max_heap]}"
  split_words "${PARAM[jvm_options]}"
  printf '%s\n' "$java" "-Xms$REPLY" "-Xmx$REPLY" -XX:+ExitOnOutOfMemoryError -Dmode= "-Doap.logDir=$log_dir" "-Dwebapp.logDir=$log_dir" \
    ${WORDS[@]+"${WORDS[@]}"} "${main[@]}"
}

launch_command() {
  follow_jdk
  [[ ${PARAM[storage]} != h2 || $data != *[\;\"]* ]] || fail "$PERMISSION" "H2 takes no path with ; in it: $data"
  mapfile -t LAUNCH_COMMAND <"$etc/command"
  LAUNCH_FOLDER=$data
}

unit_lines() { to_seconds "${PARAM[stop_timeout]}" && printf '%s\n' "TimeoutStopSec=$REPLY"; }

healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  if is_ui; then
    http_healthy 127.0.0.1 "${PARAM[port]}" / || return 1
    asks_version 127.0.0.1 || { REASON="has no answer from its OAP (${PARAM[oap_addresses]}): $REASON" && return 1; }
    return 0
  fi
  listens "${PARAM[grpc_port]}" || { REASON="does not listen on port ${PARAM[grpc_port]}, where agents report" && return 1; }
  reachable "${PARAM[bind]}" && asks_version "$REPLY"
}

# asks_version ADDRESS: GraphQL, which needs the core and the query module, not only a server for HTTP.
asks_version() {
  local line='' body='{"query":"{version}"}' status=''
  connect "$1" "${PARAM[port]}" || { REASON="refuses a connection on port ${PARAM[port]}" && return 1; }
  printf 'POST /graphql HTTP/1.0\r\nHost: %s:%s\r\nUser-Agent: towline\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' \
    "$1" "${PARAM[port]}" "${#body}" "$body" >&"$LINE" || :
  while IFS= read -r -t "$PROBE_TIMEOUT_S" -u "$LINE" line || [[ -n $line ]]; do
    [[ -n $status ]] || status=${line%$'\r'}
    [[ $line != *'"version":"'* ]] || break
    line=''
  done
  hang_up
  [[ $line == *'"version":"'* ]] || { REASON="answers no query for its version on port ${PARAM[port]} within $PROBE_TIMEOUT_S s${status:+: ${status:0:100}}" && return 1; }
}

is_instance() { # for discover
  [[ ${EXE##*/} == java && " ${COMMAND[*]} " =~ \ org\.apache\.skywalking\.oap\.server\.(starter\.OAPServerStartUp|webapp\.ApplicationStartUp)\  ]]
}
instance_name() { REPLY=${COMMAND[-1]##*.}; }

run_verb "$@"
