#!/usr/bin/env bash
# sentinelctl.sh: the dashboard of Sentinel. Healthy means: our process listens on its port, and tells the version that is
# installed; one that is too old to tell it shows its first page.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=common/spring.sh
. "${here:-./}common/spring.sh"

KIND=sentinel
SUMMARY='Sentinel: the dashboard that shows and steers the flow of services'
HOLDS_DATA=false
VERSIONS='0.1 0.2 1'
PORTS='port api_port'

# name | type | default | bounds | effect | help
PARAMETERS='
port            | port     | 8080      |         | restart | Port to listen on
bind            | string   | 127.0.0.1 | 1..64   | restart | Address to listen on
context_path    | string   |           | ..64    | restart | Path in front of all others, such as /sentinel
api_port        | port     | 8719      |         | restart | Port that the dashboard, watched like a service, is asked on; where it is taken, the next one. On every address
watch_itself    | bool     | false     |         | restart | The dashboard is among the services that it shows
auth            | bool     | true      |         | restart | Who looks must log in; services report without
user            | string   | sentinel  | 1..64   | restart | Who logs in
password        | secret   |           |         | restart | With which password; needed where auth is true
session_timeout | duration | 2h        | 1m..30d | restart | How long a login lasts when nothing is done
max_heap        | size     | 512mb     | 64mb..  | restart | Memory for objects (-Xms and -Xmx)
jvm_options     | text     |           | ..8000  | restart | More options of the JVM, with blanks between, or one a line
java            | path     | /usr/bin/java |     | restart | Java of the host, where there is neither a jdk package nor a jdk_service
jdk_service     | string   |           | ..48    | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
extra           | text     |           | ..16000 | restart | More settings for application.properties: name=value, one a line. Not for secrets
start_timeout   | duration | 2m        | 1s..1h  | none    | How long the start may take
stop_timeout    | duration | 30s       | 1s..1h  | none    | How long an orderly end may take
'
PACKAGES='
server | required | sentinel-dashboard-VERSION.jar, as upstream publishes it, or an archive with it
jdk    | optional | archive with bin/java; goes before jdk_service | bin/java
'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 30  start 3900  stop 3600  restart 7500  uninstall 3600
purge 600
'

service_files() {
  CONFIG_FILES=("$etc/application.properties" "$etc/command")
  LINKS=(current jdk)
}

readonly TAKEN='server\.(port|address|(servlet\.)?contextpath|(servlet\.)?session\.timeout|tomcat\.basedir)|(sentinel\.dashboard\.)?auth\.(enabled|username|password)|logging\.file(\.name)?|spring\.config\..*|project\.name|csp\.sentinel\.(dashboard\.server|api\.port|log\.dir)'
parameters_fit() {
  [[ ${PARAM[bind]} =~ ^([0-9.]+|\[[0-9A-Fa-f:.]+\])$ ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[context_path]} =~ ^(/[A-Za-z0-9_-]+)*$ ]] || problem context_path 'is no path such as /sentinel'
  [[ ${PARAM[user]} =~ ^[A-Za-z0-9_.@-]+$ ]] || problem user 'has something else than letters, digits and _ . @ -'
  jdk_service_fits
  secret_text password
  property_fits password "$REPLY"
  [[ ${PARAM[auth]} == false || -n ${REPLY// /} ]] || problem password 'is needed where auth is true: upstream lets everybody in without'
  properties_fit extra "$TAKEN"
}

install() {
  place_package server
  local -r folder=$REPLY
  the_jar "$folder"
  jar_version "$REPLY" sentinel-core
  local -r version=$REPLY
  find_java
  need_java "$REPLY" 8
  use_package current "$folder"
  use_java
  installed_as "$version"
}

the_jar() { # the_jar FOLDER -> REPLY
  local -a jars=("$1"/sentinel-dashboard*.jar)
  [[ ${#jars[@]} -eq 1 && -f ${jars[0]} ]] || fail "$NOT_INSTALLED" 'the package has not exactly one sentinel-dashboard*.jar'
  REPLY=${jars[0]}
}

# since VERSION: whether what is installed is that version or a later one
since() { ! newer "$1" "${INSTALLED[program]}"; }

configure() {
  need_installed
  [[ ${PARAM[auth]} == false || ${PARAM[bind]} == 127.* || ${PARAM[bind]} == '[::1]' ]] || since 1.6.0 ||
    fail "$DOCUMENT_WRONG" 'parameter auth: before 1.6 the dashboard asks nobody for a password: say auth: false, or keep bind on the loopback address'
  make_folders
  follow_jdk
  put "$etc/application.properties" < <(application_properties)
  put "$etc/command" < <(server_command)
  configured
}

# With the names that Spring Boot 2 has and, up to Sentinel 1.3, Spring Boot 1 had. Its log is what it says on its output.
application_properties() {
  salt
  printf '%s\n' "# Written by towline for the service $service; a change by hand is drift and is taken back." "# $REPLY"
  property server.port "${PARAM[port]}"
  property server.address "${PARAM[bind]//[\[\]]/}"
  property server.tomcat.basedir "$data/tomcat"
  property logging.file ''
  to_seconds "${PARAM[session_timeout]}"
  if since 1.4.0; then
    property server.servlet.context-path "${PARAM[context_path]}"
    property server.servlet.session.timeout "${REPLY}s"
  else
    property server.context-path "${PARAM[context_path]}"
    property server.session.timeout "$REPLY"
  fi
  property auth.enabled "${PARAM[auth]}"
  property auth.username "${PARAM[user]}"
  secret_text password && property auth.password "$REPLY"
  printf '%s\n' '# The parameter extra' "${PARAM[extra]//\\/\\\\}"
}

server_command() {
  local heap more=spring.config.additional-location host
  local -a itself=()
  java_program && local -r java=$REPLY
  to_bytes "${PARAM[max_heap]}" && heap=$REPLY
  since 1.4.0 || more=spring.config.location # which Spring Boot 1 reads in addition
  reachable "${PARAM[bind]}" && host=$REPLY
  [[ ${PARAM[watch_itself]} == false ]] || itself=("-Dcsp.sentinel.dashboard.server=$host:${PARAM[port]}" -Dproject.name=sentinel-dashboard)
  split_words "${PARAM[jvm_options]}"
  the_jar "$current"
  printf '%s\n' "$java" "-Xms$heap" "-Xmx$heap" -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true "-Duser.home=$data" \
    "-Dcsp.sentinel.log.dir=$log_dir/" "-Dcsp.sentinel.api.port=${PARAM[api_port]}" ${itself[@]+"${itself[@]}"} \
    ${WORDS[@]+"${WORDS[@]}"} -jar "$REPLY" "--$more=file:$etc/"
}

launch_command() {
  follow_jdk
  mapfile -t LAUNCH_COMMAND <"$etc/command"
  LAUNCH_ENVIRONMENT=('JDK_JAVA_OPTIONS=--add-opens=java.base/java.lang=ALL-UNNAMED') # which Java 8 does not know, nor need
  LAUNCH_FOLDER=$data
}

healthy() {
  local host
  local -r port=${PARAM[port]} path=${PARAM[context_path]}
  listens "$port" || { REASON="does not listen on port $port" && return 1; }
  reachable "${PARAM[bind]}" && host=$REPLY
  http_short "$host" "$port" "$path/version" || { REASON="does not answer HTTP on port $port within $PROBE_TIMEOUT_S s" && return 1; }
  if [[ $HTTP_STATUS == 200 && $REPLY =~ \"data\":\"([^\"]*)\" ]]; then
    [[ ${BASH_REMATCH[1]} == "${IDENTITY[version]-}"* ]] || { REASON="says that it is version ${BASH_REMATCH[1]:0:40}" && return 1; }
  else
    http_healthy "$host" "$port" "$path/"
  fi
}

last_words() { last_cause; }
is_instance() { [[ ${EXE##*/} == java && " ${COMMAND[*]} " == *sentinel-dashboard*.jar* ]]; } # for discover
instance_name() { REPLY=sentinel-dashboard; }

run_verb "$@"
