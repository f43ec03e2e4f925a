#!/usr/bin/env bash
# mysqld_exporterctl.sh: the exporter of MySQL's and MariaDB's metrics, beside the service that it asks. Healthy means: our process
# listens on its port, and its page says `mysql_up 1`: it has just logged in there, and was answered.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=exporter/page.sh
. "${here:-./}exporter/page.sh"

KIND=mysqld_exporter
SUMMARY='Exporter of the metrics of MySQL and MariaDB'
HOLDS_DATA=false
VERSIONS='0.12 0.13 0.14 0.15 0.16 0.17 0.18 0.19 1'
PORTS=port
METRICS='port /metrics'

# name | type | default | bounds | effect | help
PARAMETERS='
port           | port     | 9104           |        | restart | Port to listen on
bind           | string   | 0.0.0.0        | 1..64  | restart | Address to listen on
target         | peer     | 127.0.0.1:3306 |        | restart | HOST:PORT of the server that it asks, without IPv6
user           | string   | monitor        | 1..32  | restart | Account to log in with: monitor_user of the kind mysql
password       | secret   |                |        | restart | Its password
collectors_on  | string   |                | ..2000 | restart | Collectors to switch on beside the usual ones, with blanks between
collectors_off | string   |                | ..2000 | restart | Collectors to switch off, with blanks between
extra          | text     |                | ..4000 | restart | More options for the program, one a line
start_timeout  | duration | 30s            | 1s..1h | none    | How long the start may take
stop_timeout   | duration | 30s            | 1s..1h | none    | How long an orderly end may take
'
PACKAGES='
server | required | archive with mysqld_exporter, as upstream publishes it | mysqld_exporter,bin/mysqld_exporter
'
VERBS='
meta 10  check_status 15  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  uninstall 3600  purge 60
'

service_files() {
  CONFIG_FILES=("$etc/arguments" "$etc/my.cnf")
  LINKS=(current)
}

parameters_fit() {
  bind_fits
  [[ ${PARAM[target]} != \[* ]] || problem target 'is an IPv6 address, which the exporter takes in another way with each version: say a name'
  [[ ${PARAM[user]} =~ ^[A-Za-z0-9_.-]+$ ]] || problem user 'has something else than letters, digits and _ . -'
  [[ ${PARAM[collectors_on]} =~ ^[a-z0-9_.\ ]*$ ]] || problem collectors_on 'has something else than names'
  [[ ${PARAM[collectors_off]} =~ ^[a-z0-9_.\ ]*$ ]] || problem collectors_off 'has something else than names'
  options_fit extra '^--(no-)?(web|version|help|config|mysqld)'
  password_fits
  [[ $REPLY != *'%('* ]] || problem password 'has %( in it, which the exporter takes for the name of another setting'
}

program() { program_of "${1-$current}" mysqld_exporter bin/mysqld_exporter; } # program [FOLDER] -> REPLY

install() { install_program server --version; }

configure() {
  local name
  need_installed
  make_folders
  ARGUMENTS=("--web.listen-address=${PARAM[bind]}:${PARAM[port]}" "--config.my-cnf=$etc/my.cnf")
  for name in ${PARAM[collectors_on]}; do ARGUMENTS+=("--collect.$name"); done
  for name in ${PARAM[collectors_off]}; do ARGUMENTS+=("--no-collect.$name"); done
  add_options extra
  put_arguments
  my_cnf
  configured
}

# The only place where the password stands. Between three quotes its reader takes every character as it is.
my_cnf() {
  local text
  salt && text="# $REPLY: makes the digest of this file say nothing about the password"
  text+=$'\n[client]\n'"user = ${PARAM[user]}"$'\n'"host = ${PARAM[target]%:*}"$'\n'"port = ${PARAM[target]##*:}"
  secret_text password
  [[ -z $REPLY ]] || text+=$'\n'"password = \"\"\"$REPLY\"\"\""
  put "$etc/my.cnf" < <(printf '%s\n' "$text") # never by a here-document: it may be a file in /tmp
}

launch_command() { launch_with_arguments; }

# No collector is asked for, so that a look costs the server a login and nothing else.
healthy() {
  ! shows_up mysql_up '/metrics?collect[]=none' || return 0
  [[ $REASON != *'mysql_up 0'* ]] || REASON+="; why, its log says"
  return 1
}

is_instance() { [[ ${EXE##*/} == mysqld_exporter || ${EXE##*/} == prometheus-mysqld-exporter ]]; } # for discover
instance_name() { REPLY=${EXE##*/}; }

run_verb "$@"
