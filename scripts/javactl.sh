#!/usr/bin/env bash
# javactl.sh: a Java service, from a jar or an archive, or taken over while it runs. Healthy means: our process listens
# on its port, and answers its health path by HTTP below 400.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=exporter/jmx.sh
. "${here:-./}exporter/jmx.sh"

KIND=java
SUMMARY='A service on the Java virtual machine'
HOLDS_DATA=true
VERSIONS=''
PORTS='port metrics_port'
METRICS='metrics_port /metrics'

# name | type | default | bounds | effect | help
PARAMETERS='
port          | port     |                      |           | restart | Port that the service listens on; empty: none. {port} in arguments
jar           | string   |                      | ..200     | restart | Jar to run, below the app package; empty: its only jar
module        | string   |                      | ..200     | restart | Module to run instead of a jar, with or without /class
main_class    | string   |                      | ..200     | restart | Class to run instead of a jar
class_path    | string   | {home}/classes:{home}/lib/* | ..4000 | restart | Class path for main_class
arguments     | text     |                      | ..8000    | restart | Arguments, with blanks between, or one a line. {home} {data} {etc} {port} {secret} are replaced
max_heap      | size     | 256mb                | 2mb..     | restart | Most memory for objects (-Xmx)
jvm_options   | text     |                      | ..8000    | restart | Options of the JVM, with blanks between, or one a line
environment   | text     |                      | ..16000   | restart | Environment: NAME=value, one a line
java          | path     | /usr/bin/java        |           | restart | Java of the host, where there is neither a jdk package nor a jdk_service
jdk_service   | string   |                      | ..48      | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
secret        | secret   |                      |           | restart | Becomes the file {secret}, for properties or YAML that the service reads
probe_host    | string   | 127.0.0.1            | 1..255    | none    | Address to ask for health
health_path   | string   |                      | ..500     | none    | Path to ask by HTTP; empty: to listen on the port is enough
trace_to      | string   |                      | ..1000    | restart | HOST:PORT of the OAPs of SkyWalking, where agents report, with commas between; empty: no tracing
trace_name    | string   |                      | ..200     | restart | Name that SkyWalking shows; empty: the service itself
metrics_port  | port     |                      |           | restart | Port for a page of metrics of the JVM, by the JMX exporter; empty: none
metrics_bind  | string   |                      | ..64      | restart | Address for that page; empty: every one
metrics_rules | text     |                      | ..16000   | restart | Configuration of the JMX exporter, as YAML; empty: every value that there is
log_max_size  | size     | 10mb                 | 4kb..10gb | restart | The log is turned over at this size
log_keep      | int      | 5                    | 1..100    | restart | How many logs are kept
start_timeout | duration | 90s                  | 1s..1h    | none    | How long the start may take
stop_timeout  | duration | 30s                  | 1s..1h    | none    | How long an orderly end may take
match         | string   |                      | ..500     | none    | For take_over: a part of the command line (a pattern; * and ? are wild)
'
PACKAGES='
app | required | a jar, or an archive with jars, classes or modules
jdk | optional | archive with bin/java; goes before jdk_service | bin/java
agent | optional | SkyWalking agent for Java, as upstream publishes it, with its plugins; needed for trace_to | skywalking-agent.jar
jmx | optional | JMX exporter of Prometheus (jmx_prometheus_javaagent-VERSION.jar); needed for metrics_port
'
VERBS='
meta 10  check_status 15  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  take_over 30
release 30  uninstall 3600  purge 120
'

service_files() {
  CONFIG_FILES=("$etc/command" "$etc/environment" "$etc/secret")
  LINKS=(current jdk agent)
  jmx_files
}

parameters_fit() {
  local line
  local -a ways=(${PARAM[jar]:+jar} ${PARAM[module]:+module} ${PARAM[main_class]:+main_class})
  ((${#ways[@]} <= 1)) || problem "${ways[1]}" "does not go with ${ways[0]}: only one of jar, module and main_class"
  [[ -z ${PARAM[jar]} || /${PARAM[jar]}/ != */../* && ${PARAM[jar]} != /* ]] || problem jar 'leads out of the package'
  [[ ${PARAM[module]} =~ ^[A-Za-z0-9_./$]*$ ]] || problem module 'is no name of a module'
  [[ ${PARAM[main_class]} =~ ^[A-Za-z0-9_.$]*$ ]] || problem main_class 'is no name of a class'
  [[ ${PARAM[health_path]} =~ ^(/[!-~]*)?$ ]] || problem health_path 'is no path of a URL'
  [[ ${PARAM[probe_host]} =~ ^[A-Za-z0-9.:_-]+$ ]] || problem probe_host 'is no address'
  [[ ${PARAM[trace_to]} =~ ^([A-Za-z0-9][A-Za-z0-9._-]*:[1-9][0-9]{0,4}(,[A-Za-z0-9][A-Za-z0-9._-]*:[1-9][0-9]{0,4})*)?$ ]] || problem trace_to 'is not HOST:PORT, with commas between'
  [[ ${PARAM[trace_name]} =~ ^[A-Za-z0-9._:|/-]*$ ]] || problem trace_name 'has something else than letters, digits and . _ : | / -'
  jdk_service_fits
  jmx_fits
  [[ -z ${PARAM[health_path]} || -n ${PARAM[port]} ]] || problem health_path 'needs a port'
  while IFS= read -r line; do
    [[ -z $line || $line =~ ^[A-Za-z_][A-Za-z0-9_]*= && $line != TOWLINE_* ]] || problem environment "has a line that is not NAME=value: ${line%%=*}"
  done <<<"${PARAM[environment]}"
}

install() {
  place_package app
  local -r app=$REPLY
  find_java
  use_package current "$app"
  use_java
  if [[ -n ${TOWLINE_PACKAGE_agent-} ]]; then
    place_package agent
    [[ -r $REPLY/skywalking-agent.jar ]] || fail "$NOT_INSTALLED" 'the agent package has no skywalking-agent.jar'
    use_package agent "$REPLY"
  else
    release_packages agent
  fi
  use_jmx
  installed_as "${TOWLINE_PACKAGE_app_VERSION:-unknown}"
}

# words TEXT -> WORDS: split, then the names in braces.
words() {
  local index
  split_words "$1"
  for index in "${!WORDS[@]}"; do
    fill_in "${WORDS[index]}"
    WORDS[index]=$REPLY
    [[ -n $REPLY ]] || unset "WORDS[$index]"
  done
}

fill_in() { # fill_in TEXT -> REPLY
  REPLY=${1//'{home}'/"$current"}
  REPLY=${REPLY//'{data}'/"$data"}
  REPLY=${REPLY//'{etc}'/"$etc"}
  REPLY=${REPLY//'{secret}'/"$etc/secret"}
  REPLY=${REPLY//'{port}'/"${PARAM[port]}"}
}

# What java is told to run -> WORDS
main_words() {
  if [[ -n ${PARAM[module]} ]]; then
    WORDS=(-m "${PARAM[module]}")
  elif [[ -n ${PARAM[main_class]} ]]; then
    fill_in "${PARAM[class_path]}"
    WORDS=(-cp "$REPLY" "${PARAM[main_class]}")
  elif [[ -n ${PARAM[jar]} ]]; then
    WORDS=(-jar "$current/${PARAM[jar]}")
  else
    local -a jars=("$current"/*.jar)
    [[ ${#jars[@]} -eq 1 && -f ${jars[0]} ]] || fail "$DOCUMENT_WRONG" 'parameter jar: the app package has not exactly one jar: say jar, module or main_class'
    WORDS=(-jar "${jars[0]}")
  fi
}

# tracing -> WORDS: what makes the agent of SkyWalking report; its own log goes into the service's.
tracing() {
  WORDS=()
  [[ -n ${PARAM[trace_to]} ]] || return 0
  [[ -r $service_dir/agent/skywalking-agent.jar ]] || fail "$NOT_INSTALLED" 'parameter trace_to: there is no agent package'
  WORDS=("-javaagent:$service_dir/agent/skywalking-agent.jar" "-Dskywalking.agent.service_name=${PARAM[trace_name]:-$service}"
    "-Dskywalking.collector.backend_service=${PARAM[trace_to]}" -Dskywalking.logging.output=CONSOLE)
}

configure() {
  local -a command
  need_installed
  make_folders
  follow_jdk
  java_program && command=("$REPLY")
  to_bytes "${PARAM[max_heap]}" && command+=("-Xmx$REPLY")
  tracing && command+=(${WORDS[@]+"${WORDS[@]}"})
  jmx_option && command+=(${WORDS[@]+"${WORDS[@]}"})
  words "${PARAM[jvm_options]}" && command+=(${WORDS[@]+"${WORDS[@]}"})
  main_words && command+=("${WORDS[@]}")
  words "${PARAM[arguments]}" && command+=(${WORDS[@]+"${WORDS[@]}"})
  put "$etc/command" < <(printf '%s\n' "${command[@]}")
  put "$etc/environment" < <(printf '%s' "${PARAM[environment]:+${PARAM[environment]%$'\n'}$'\n'}")
  secret_text secret
  if [[ -n $REPLY ]]; then
    local -r text=$REPLY
    salt
    put "$etc/secret" < <(printf '# %s: makes the digest of this file say nothing about its text\n%s\n' "$REPLY" "$text")
  else
    remove_file "$etc/secret"
  fi
  configured
}

launch_command() {
  follow_jdk
  mapfile -t LAUNCH_COMMAND <"$etc/command"
  mapfile -t LAUNCH_ENVIRONMENT <"$etc/environment"
  LAUNCH_FOLDER=$data
}

healthy() {
  jmx_listens || return 1
  [[ -n ${PARAM[port]} ]] || return 0
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  [[ -z ${PARAM[health_path]} ]] || http_healthy "${PARAM[probe_host]}" "${PARAM[port]}" "${PARAM[health_path]}"
}

is_instance() { [[ ${EXE##*/} == java ]]; }

instance_name() { # -> REPLY: the jar, module or class of COMMAND
  local index
  for ((index = 1; index < ${#COMMAND[@]}; index++)); do
    REPLY=${COMMAND[index]}
    case $REPLY in
      -jar | -m | --module) REPLY=${COMMAND[index + 1]-java} && REPLY=${REPLY##*/} && return 0 ;;
      -cp | -classpath | --class-path | -p | --module-path | --add-modules | --add-opens | --add-exports) ((index += 1)) ;;
      -*) ;;
      *) return 0 ;;
    esac
  done
  REPLY=java
}

run_verb "$@"
