#!/usr/bin/env bash
# nacosctl.sh: Nacos, alone or a member of a cluster. Healthy means: our process listens for HTTP and for gRPC, and says
# that it is ready (from Nacos 3 on its console too); in a cluster, it sees every member up.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=common/spring.sh
. "${here:-./}common/spring.sh"
# shellcheck source=nacos/admin.sh
. "${here:-./}nacos/admin.sh"
# shellcheck source=nacos/command.sh
. "${here:-./}nacos/command.sh"
# shellcheck source=nacos/database.sh
. "${here:-./}nacos/database.sh"
# shellcheck source=nacos/members.sh
. "${here:-./}nacos/members.sh"

KIND=nacos
SUMMARY='Nacos: configuration and discovery of services, alone or a member of a cluster'
HOLDS_DATA=true
VERSIONS='2.1 2.2 2.3 2.4 2.5 3'
PORTS=port
METRICS='port /nacos/actuator/prometheus'

# parameter | from | form
CLUSTER='
address | address |
members | members | {address}:{port}
'

# name | type | default | bounds | effect | help
PARAMETERS='
port              | port     | 8848      | 1001..64534 | restart | Port for HTTP. gRPC of clients is at port + 1000, of members at port + 1001, Raft at port - 1000
bind              | string   | 127.0.0.1 | 1..64   | restart | Address to listen on for HTTP; gRPC and Raft listen on every address of the host, whatever this says
address           | string   |           | ..255   | restart | Name or address that members and clients are told; empty: bind, or where that is every address, one that Nacos finds
members           | string   |           | ..4000  | restart | Members of the cluster: HOST:PORT, with commas between, this one among them; empty: this one is alone
context_path      | string   | /nacos    | 1..64   | restart | Path in front of all others
console_port      | port     | 8080      |         | restart | Port of the console, from Nacos 3 on; before that it is at port
database_url      | string   |           | ..1000  | restart | jdbc:mysql://HOST:PORT/DATABASE, and ?options; empty: data/, in a cluster agreed on by Raft
database_user     | string   |           | ..80    | restart | Who logs in there
database_password | secret   |           |         | restart | Its password
auth              | bool     | true      |         | restart | Who asks must log in
token_secret      | secret   |           |         | restart | What logins are signed with: base64 of 32 bytes or more, the same on all members; where it is alone, empty: made here
token_lifetime    | duration | 5h        | 1m..30d | restart | How long a login lasts
identity_key      | string   | towline-identity | 1..64 | restart | Name of the header by which members know each other
identity_secret   | secret   |           |         | restart | Its value, the same on all members; where it is alone, empty: made here
admin_password    | secret   |           |         | reload  | Of the user nacos: at each start it is made the declared one; empty: left as it is
metrics           | bool     | true      |         | restart | Serve metrics for Prometheus, below context_path at /actuator/prometheus
max_heap          | size     | 1gb       | 128mb.. | restart | Memory for objects (-Xms and -Xmx)
jvm_options       | text     |           | ..8000  | restart | More options of the JVM, with blanks between, or one a line
java              | path     | /usr/bin/java |     | restart | Java of the host, where there is neither a jdk package nor a jdk_service
jdk_service       | string   |           | ..48    | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
extra             | text     |           | ..16000 | restart | More settings for application.properties: name=value, one a line. Not for secrets
start_timeout     | duration | 5m        | 1s..1h  | none    | How long the start may take
stop_timeout      | duration | 1m        | 1s..1h  | none    | How long an orderly end may take
'
PACKAGES='
server | required | archive with target/nacos-server.jar and conf/, as upstream publishes it (nacos-server-VERSION.tar.gz)
jdk    | optional | archive with bin/java; goes before jdk_service | bin/java
client | optional | archive with bin/mariadb or bin/mysql: with it, the tables are made in a database that has none
'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 30  start 3900  stop 3600  restart 7500  reload 600
uninstall 3600  purge 600
'

service_files() {
  CONFIG_FILES=("$etc/application.properties" "$etc/command" "$etc/client.cnf")
  LINKS=(current jdk client)
}

readonly ADDRESS='^([0-9.]+|\[[0-9A-Fa-f:.]+\])$' HOST_NAME='([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])'
readonly DATABASE="^jdbc:mysql://$HOST_NAME(:([1-9][0-9]{0,4}))?/([A-Za-z0-9_-]+)(\?[!-~]*)?$"
readonly TAKEN_BY_TOWLINE='server\.tomcat\.basedir|nacos\.(home|standalone|logs\.path|server\.ip)|nacos\.core\.auth\.system\.type|spring\.((datasource|sql\.init)\.platform|config\..*)|logging\.config|nacos\.console\.contextpath'
readonly TAKEN_BY_PARAMETERS='server\.(port|address|servlet\.contextpath)|nacos\.(server\.(main\.port|contextpath)|console\.port|member\.list)|nacos\.core\.auth\.((console\.|admin\.)?enabled|server\.identity\.(key|value)|plugin\.nacos\.token\.(secret\.key|expire\.seconds))|db\.(num|url(\.0|\[0\])|user(\.0|\[0\])?|password(\.0|\[0\])?)|management\.endpoints\.web\.exposure\.include'

parameters_fit() {
  local name
  [[ ${PARAM[bind]} =~ $ADDRESS ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[address]} =~ ^($HOST_NAME)?$ ]] || problem address 'is no name or address'
  [[ ${PARAM[context_path]} =~ ^(/[A-Za-z0-9_-]+)+$ ]] || problem context_path 'is no path such as /nacos'
  [[ ${PARAM[identity_key]} =~ ^[A-Za-z0-9-]+$ ]] || problem identity_key 'is no name of a header'
  jdk_service_fits
  membership_fits
  database_fits
  for name in database_password identity_secret; do secret_text "$name" && property_fits "$name" "$REPLY"; done
  [[ $REPLY != ' '* && $REPLY != *' ' ]] || problem identity_secret 'has a blank at an end, which a header loses'
  secret_text token_secret
  [[ -z $REPLY || $REPLY =~ ^[A-Za-z0-9+/]{42}[A-Za-z0-9+/]+={0,2}$ ]] || problem token_secret 'is not base64 of 32 bytes or more'
  admin_password_fits
  properties_fit extra "$TAKEN_BY_TOWLINE|$TAKEN_BY_PARAMETERS"
}

is_cluster() { [[ -n ${PARAM[members]} ]]; }
is_three() { [[ ${INSTALLED[program]-} == 3.* ]]; }

install() {
  place_package server
  local -r folder=$REPLY
  [[ -f $folder/target/nacos-server.jar && -f $folder/conf/nacos-logback.xml ]] || fail "$NOT_INSTALLED" 'the package has no target/nacos-server.jar and no conf/nacos-logback.xml'
  jar_version "$folder/target/nacos-server.jar" nacos-core
  local -r version=$REPLY
  find_java
  need_java "$REPLY" "$([[ $version == 2.* ]] && echo 8 || echo 17)"
  place_client
  use_package current "$folder"
  use_java
  installed_as "$version"
}

configure() {
  need_installed
  make_folders
  follow_jdk
  put "$etc/application.properties" < <(application_properties)
  put "$etc/client.cnf" < <(client_cnf)
  put "$etc/command" < <(server_command)
  configured
}

# made_or_given NAME -> REPLY: the secret; where there is none, one that is made once and stays on this host.
made_or_given() {
  secret_text "$1"
  [[ -z $REPLY ]] || return 0
  random_word "$run/$1"
  [[ $1 != token_secret ]] || REPLY=$(base64 -w 0 < <(printf '%s' "$REPLY"))
}

application_properties() {
  salt
  printf '%s\n' "# Written by towline for the service $service; a change by hand is drift and is taken back." "# $REPLY"
  web_properties
  property server.address "${PARAM[bind]//[\[\]]/}"
  property server.tomcat.basedir "$data/tomcat"
  property nacos.member.list "${PARAM[members]//[[:space:]]/}"
  property nacos.core.auth.system.type nacos
  property nacos.core.auth.enabled "${PARAM[auth]}"
  property nacos.core.auth.server.identity.key "${PARAM[identity_key]}"
  made_or_given identity_secret && property nacos.core.auth.server.identity.value "$REPLY"
  made_or_given token_secret && property nacos.core.auth.plugin.nacos.token.secret.key "$REPLY"
  to_seconds "${PARAM[token_lifetime]}" && property nacos.core.auth.plugin.nacos.token.expire.seconds "$REPLY"
  property nacos.security.ignore.urls '/,/error,/**/*.css,/**/*.js,/**/*.html,/**/*.map,/**/*.svg,/**/*.png,/**/*.ico,/console-ui/public/**,/v1/auth/**,/v1/console/health/**,/actuator/**,/v1/console/server/**'
  [[ ${PARAM[metrics]} != true ]] || property management.endpoints.web.exposure.include prometheus
  # Nacos waits 3 s for its database, and ends: on a busy host its own Derby takes longer to be made.
  property db.pool.config.connectionTimeout 30000
  database_properties
  printf '%s\n' '# The parameter extra' "${PARAM[extra]//\\/\\\\}"
}

web_properties() {
  if is_three; then
    property nacos.server.main.port "${PARAM[port]}"
    property nacos.server.contextPath "${PARAM[context_path]}"
    property nacos.console.port "${PARAM[console_port]}"
    property nacos.core.auth.admin.enabled "${PARAM[auth]}"
    property nacos.core.auth.console.enabled "${PARAM[auth]}"
  else
    property server.port "${PARAM[port]}"
    property server.servlet.contextPath "${PARAM[context_path]}"
  fi
}

launch_command() {
  follow_jdk
  data_fits
  mkdir -p "$data" "$log_dir"
  give_account
  as_account mkdir -p "$data/conf"
  # Nacos writes down which members it saw, and would believe that more than what is declared.
  [[ ! -e $data/conf/cluster.conf ]] || as_account unlink "$data/conf/cluster.conf"
  make_tables
  mapfile -t LAUNCH_COMMAND <"$etc/command"
  LAUNCH_ENVIRONMENT=("JDK_JAVA_OPTIONS=$OPENED") # which Java 8, that needs none of it, does not know
  LAUNCH_FOLDER=$data
}

# settle: after each start.
settle() { admin_password_counts; }

# What is reloaded is the password of the user nacos; everything else Nacos reads once.
reload() {
  need_installed
  running || fail "$FAILED" "$service does not run"
  ! needs_restart || fail "$NOT_INSTALLED" "needs a restart, not a reload: $REPLY"
  listening_ports "${IDENTITY[pid]}"
  admin_password_counts
  wait_healthy 20
  reloaded
}

# What start waits for: this one itself.
healthy() {
  local path=/v1/console/health/readiness
  local -r port=${PARAM[port]}
  ! is_three || path=/v3/admin/core/state/readiness
  listens "$port" || { REASON="does not listen on port $port" && return 1; }
  listens "$((port + 1000))" || { REASON="does not listen on port $((port + 1000)), where clients ask by gRPC" && return 1; }
  says_ready "$port" "${PARAM[context_path]}$path" || return 1
  ! is_three || says_ready "${PARAM[console_port]}" /v3/console/health/readiness
}

says_ready() { # says_ready PORT PATH
  reachable "${PARAM[bind]}"
  http_body "$REPLY" "$1" "$2" || { REASON="does not answer HTTP on port $1 within $PROBE_TIMEOUT_S s" && return 1; }
  [[ $HTTP_STATUS == 200 ]] || { REASON="is not ready: HTTP $HTTP_STATUS on port $1: ${REPLY:0:300}" && return 1; }
}

whole() { members_up; }

last_words() { last_cause; }
is_instance() { [[ ${EXE##*/} == java && " ${COMMAND[*]} " == *' nacos.nacos '* ]]; } # for discover
instance_name() { REPLY=nacos; }

run_verb "$@"
