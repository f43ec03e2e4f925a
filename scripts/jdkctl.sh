#!/usr/bin/env bash
# jdkctl.sh: a JDK or a Java runtime from its archive, several versions side by side, for the services that name it.
# Healthy means: `java -version` works, and no file of the virtual machine has changed since it did. It has no process.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=common/tool.sh
. "${here:-./}common/tool.sh"

KIND=jdk
SUMMARY='A JDK or a Java runtime, for the services of this host'
HOLDS_DATA=false
VERSIONS=''
PORTS=''
SIDE_BY_SIDE=true

# name | type | default | bounds | effect | help
PARAMETERS='
compiler | bool   | false |         | none | It must have javac: a JDK, not only a runtime
modules  | string |       | ..4000  | none | Modules that it must have, with blanks between (java.sql jdk.httpserver); from Java 9 on
'
PACKAGES='
jdk | required | archive with bin/java, as its vendor publishes it | bin/java
'
VERBS='
meta 10  check_status 20  install 300  configure 30  start 60  stop 30  restart 60  uninstall 120  purge 60
'

service_files() {
  CONFIG_FILES=("$etc/java.env")
  LINKS=(current)
  TOOL_FILES=(java 'lib*.so' modules rt.jar)
}

parameters_fit() {
  [[ ${PARAM[modules]} =~ ^[A-Za-z0-9._\ ]*$ ]] || problem modules 'has something else than names of modules'
}

program() { program_of "${1-$current}" bin/java; } # program [FOLDER] -> REPLY

install() {
  local words
  place_package jdk
  local -r folder=$REPLY
  program "$folder"
  words=$("$REPLY" -version 2>&1) || fail "$NOT_INSTALLED" "$REPLY does not run on this host"
  [[ $words =~ version\ \"([^\"]+)\" ]] || fail "$DOCUMENT_WRONG" "java says no version: ${words:0:200}"
  local -r version=${BASH_REMATCH[1]}
  version_fits "$version"
  has_all "$folder"
  use_package current "$folder"
  installed_as "$version"
}

# has_all FOLDER: what the parameters ask for is there; its file `release` names the modules.
has_all() {
  local line module modules=' '
  [[ ${PARAM[compiler]} == false || -x $1/bin/javac ]] || fail "$DOCUMENT_WRONG" 'parameter compiler: the package has no bin/javac: it is a runtime'
  [[ -n ${PARAM[modules]// /} ]] || return 0
  if [[ -r $1/release ]]; then
    while IFS= read -r line; do [[ $line != MODULES=* ]] || modules=" ${line//[\"]/ } "; done <"$1/release"
  fi
  for module in ${PARAM[modules]}; do
    [[ ${modules/MODULES=/} == *" $module "* ]] || problem modules "the package has no module $module"
  done
  refuse_problems
}

# For people and for units: where it is, in the form of an environment file. Nothing in it is secret.
configure() {
  need_installed
  has_all "$current"
  make_folders
  chmod a+rx -- "$service_dir" "$etc"
  put "$etc/java.env" 0644 <<<"JAVA_HOME=$current"
  configured
}

works() {
  local words
  [[ -x $current/bin/java ]] || { REASON='its bin/java is gone' && return 1; }
  words=$(exec timeout "$PROBE_TIMEOUT_S" "$current/bin/java" -version 2>&1) && return 0
  REASON="java -version fails: ${words:0:300}"
  return 1
}

check_status() { tool_status; }
start() { tool_start; }
stop() { tool_stop; }

run_verb "$@"
