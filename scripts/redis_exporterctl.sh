#!/usr/bin/env bash
# redis_exporterctl.sh: the exporter of Redis' and Valkey's metrics, beside the service that it asks. Healthy means: our process
# listens on its port, and its page says `redis_up 1`: it has just asked its Redis, and was answered.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=exporter/page.sh
. "${here:-./}exporter/page.sh"

KIND=redis_exporter
SUMMARY='Exporter of the metrics of Redis and Valkey'
HOLDS_DATA=false
VERSIONS='1'
PORTS=port
METRICS='port /metrics'

# name | type | default | bounds | effect | help
PARAMETERS='
port          | port     | 9121           |        | restart | Port to listen on
bind          | string   | 0.0.0.0        | 1..64  | restart | Address to listen on
target        | peer     | 127.0.0.1:6379 |        | restart | HOST:PORT of the Redis that it asks
user          | string   |                | ..128  | restart | Account of the access list to log in with; empty: the default one
password      | secret   |                |        | restart | Password of that account, or of the server
extra         | text     |                | ..4000 | restart | More options for the program, one a line, such as --count-keys=db0=cart:*
start_timeout | duration | 30s            | 1s..1h | none    | How long the start may take
stop_timeout  | duration | 30s            | 1s..1h | none    | How long an orderly end may take
'
PACKAGES='
server | required | archive with redis_exporter, as upstream publishes it | redis_exporter,bin/redis_exporter
'
VERBS='
meta 10  check_status 15  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  uninstall 3600  purge 60
'

service_files() {
  CONFIG_FILES=("$etc/arguments" "$etc/password.json")
  LINKS=(current)
}

# What a line of extra may not set: doors, logins, and the names by which its health is found.
readonly NOT_EXTRA='^--(web|version|help|redis\.(addr|user|password)|connection-timeout|basic-auth|tls-server|namespace)'

parameters_fit() {
  bind_fits
  [[ ${PARAM[user]} =~ ^[A-Za-z0-9_.@-]*$ ]] || problem user 'has something else than letters, digits and _ . @ -'
  password_fits
  options_fit extra "$NOT_EXTRA"
}

program() { program_of "${1-$current}" redis_exporter bin/redis_exporter; } # program [FOLDER] -> REPLY

install() { install_program server --version; }

configure() {
  need_installed
  make_folders
  ARGUMENTS=("--web.listen-address=${PARAM[bind]}:${PARAM[port]}" "--redis.addr=redis://${PARAM[target]}"
    "--redis.password-file=$etc/password.json" "--connection-timeout=$((PROBE_TIMEOUT_S - 2))s")
  [[ -z ${PARAM[user]} ]] || ARGUMENTS+=("--redis.user=${PARAM[user]}")
  add_options extra
  checked
  put "$etc/arguments" < <(printf '%s\n' "${ARGUMENTS[@]}")
  password_json
  configured
}

checked() { # an option that this version does not have, the document gets back; the rest of what it says is its usage
  local words
  program
  words=$("$REPLY" "${ARGUMENTS[@]}" --version 2>&1 >/dev/null) || fail "$DOCUMENT_WRONG" "$KIND refuses an option: ${words%%$'\n'*}"
}

# The only place where the password stands. The exporter looks for the address that it asks; the first line makes the digest of
# this file say nothing about the password.
password_json() {
  local salt password
  salt && salt=$REPLY
  secret_text password
  json_text "$REPLY" && password=$REPLY
  put "$etc/password.json" < <(printf '{"salt": "%s",\n "redis://%s": %s}\n' "$salt" "${PARAM[target]}" "$password")
}

launch_command() { launch_with_arguments; }

# The exporter tells why, but of an address that refuses it, or refuses its password, only that another way failed as well.
healthy() {
  ! shows_up redis_up /metrics 'redis_exporter_last_scrape_error[{]' || return 0
  if [[ $REPLY =~ err=\"dial\ redis: ]]; then
    REASON+=', or refuses the password'
  elif [[ $REPLY =~ err=\"([^\"]+)\" ]]; then
    REASON+=": ${BASH_REMATCH[1]:0:200}"
  fi
  return 1
}

is_instance() { [[ ${EXE##*/} == redis_exporter || ${EXE##*/} == prometheus-redis-exporter ]]; } # for discover
instance_name() { REPLY=${EXE##*/}; }

run_verb "$@"
