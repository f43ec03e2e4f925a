#!/usr/bin/env bash
# prometheusctl.sh: Prometheus, alone or one of a pair. Healthy means: our process listens on its port, says that it is
# ready, and runs with the configuration that it read last: one that it could not read is degraded.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"

KIND=prometheus
SUMMARY='Prometheus: metrics of the fleet, queries and alerts'
HOLDS_DATA=true
VERSIONS='2 3'
PORTS=port
METRICS='port /metrics'

# name | type | default | bounds | effect | help
PARAMETERS='
port                | port     | 9090      |          | restart | Port to listen on
bind                | string   | 127.0.0.1 | 1..64    | restart | Address to listen on. Prometheus asks nobody for a password
external_url        | string   |           | ..500    | restart | Where people reach it, for links in alerts; its path is for the proxy in front to take off
retention           | duration | 15d       | 1h..3650d | restart | How long samples are kept
retention_size      | size     |           | 64mb..   | restart | The oldest samples go when all take more; empty: no bound
scrape_interval     | duration | 30s       | 1s..1h   | reload  | How often each target is asked
scrape_timeout      | duration | 10s       | 1s..1h   | reload  | How long a target may take; not longer than scrape_interval
evaluation_interval | duration | 30s       | 1s..1h   | reload  | How often rules are worked out
self_scrape         | bool     | true      |          | reload  | Also ask itself (job prometheus)
sd_url              | string   |           | ..1000   | reload  | Where the targets are told (job towline): /v1/prometheus/targets of the backend, from Prometheus 2.28 on
sd_interval         | duration | 1m        | 5s..1h   | reload  | How often sd_url is asked
sd_ca_file          | path     |           |          | reload  | Certificates that sd_url is checked with; empty: those of the host
sd_token            | secret   |           |          | reload  | API token for sd_url, sent as bearer
scrape_configs      | text     |           | ..60000  | reload  | More jobs: items of the list scrape_configs, in the language of Prometheus
rules               | text     |           | ..200000 | reload  | A file of rules (groups: ...), for recording and alerting
alertmanagers       | string   |           | ..1000   | reload  | HOST:PORT of each Alertmanager, with blanks between
external_labels     | text     |           | ..4000   | reload  | Labels of all that leaves it: NAME=value, one a line
replica             | string   |           | ..100    | reload  | Which of a pair this is: becomes the label replica, which alerts do not carry
extra               | text     |           | ..4000   | restart | More options for the program, one a line
start_timeout       | duration | 5m        | 1s..1h   | none    | How long the start may take: it reads what was not yet written into blocks
stop_timeout        | duration | 2m        | 1s..1h   | none    | How long an orderly end may take
'
PACKAGES='
server | required | archive with prometheus and promtool, as upstream publishes it | prometheus,bin/prometheus
'
# parameter | from | form
CLUSTER='
replica | host |
'
VERBS='
meta 10  check_status 20  discover 15  install 300  configure 60  start 3600  stop 3600  restart 7200  reload 60
uninstall 3600  purge 300
'

service_files() {
  CONFIG_FILES=("$etc/arguments" "$etc/prometheus.yml" "$etc/rules.yml" "$etc/sd_token")
  LINKS=(current)
}

readonly LABEL='^[A-Za-z_][A-Za-z0-9_]*$'
parameters_fit() {
  local line
  [[ ${PARAM[bind]} =~ ^([0-9.]+|\[[0-9A-Fa-f:.]+\])$ ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[external_url]} =~ ^(https?://[!-~]+)?$ ]] || problem external_url 'is no http or https URL'
  [[ ${PARAM[sd_url]} =~ ^(https?://[!-~]+)?$ ]] || problem sd_url 'is no http or https URL'
  [[ ${PARAM[alertmanagers]} =~ ^(\ *[A-Za-z0-9._-]+:[1-9][0-9]{0,4})*\ *$ ]] || problem alertmanagers 'is not HOST:PORT, with blanks between'
  to_seconds "${PARAM[scrape_interval]}" && line=$REPLY && to_seconds "${PARAM[scrape_timeout]}"
  ((REPLY <= line)) || problem scrape_timeout 'is longer than scrape_interval'
  while IFS= read -r line; do
    [[ -z $line || $line == *=* && ${line%%=*} =~ $LABEL ]] || problem external_labels "has a line that is not NAME=value: ${line%%=*}"
    [[ ${line%%=*} != replica || -z ${PARAM[replica]} ]] || problem external_labels 'has replica, which is a parameter'
  done <<<"${PARAM[external_labels]}"
  secret_text sd_token
  [[ $REPLY =~ ^[!-~]*$ ]] || problem sd_token 'has something else than printable characters without blanks'
  options_fit extra '^--(no-)?(config\.|storage\.(tsdb|agent)\.(path|retention)|web\.(listen|external|route|config|enable-lifecycle)|version|help)'
}

program() { program_of "${1-$current}" prometheus bin/prometheus; } # program [FOLDER] -> REPLY

install() { install_program server --version; }

configure() {
  need_installed
  make_folders
  server_arguments
  checked
  put_arguments
  token_text
  if [[ -n $REPLY ]]; then put "$etc/sd_token" < <(printf '%s' "$REPLY"); else remove_file "$etc/sd_token"; fi
  if [[ -n ${PARAM[rules]} ]]; then put "$etc/rules.yml" < <(rules); else remove_file "$etc/rules.yml"; fi
  put "$etc/prometheus.yml" < <(prometheus_yml)
  configured
}

rules() { printf '%s\n' "${PARAM[rules]%$'\n'}"; }

# What promtool refuses, the document gets back with its words, and the running one never sees. An archive without it is
# taken: then a reload tells.
checked() {
  local words code=0
  local -r trial=$run/trial
  [[ -x $current/promtool ]] || return 0
  mkdir -p "$trial"
  rules >"$trial/rules.yml"
  prometheus_yml >"$trial/prometheus.yml"
  words=$("$current/promtool" check config "$trial/prometheus.yml" 2>&1) || code=$DOCUMENT_WRONG
  rm -f -- "$trial/rules.yml" "$trial/prometheus.yml"
  rmdir -- "$trial"
  words=${words#*FAILED: } words=${words//"$trial/"/}
  ((code == DONE)) || fail "$code" "promtool refuses the configuration: ${words:0:600}"
}

server_arguments() { # sets ARGUMENTS
  ARGUMENTS=("--config.file=$etc/prometheus.yml" "--storage.tsdb.path=$data" "--storage.tsdb.retention.time=$(seconds retention)")
  ARGUMENTS+=("--web.listen-address=${PARAM[bind]}:${PARAM[port]}" --web.route-prefix=/)
  [[ -z ${PARAM[retention_size]} ]] || { to_bytes "${PARAM[retention_size]}" && ARGUMENTS+=("--storage.tsdb.retention.size=${REPLY}B"); }
  [[ -z ${PARAM[external_url]} ]] || ARGUMENTS+=("--web.external-url=${PARAM[external_url]}")
  add_options extra
}

token_text() { # -> REPLY: with the salt, because the digest of its file is reported
  secret_text sd_token
  [[ -z $REPLY ]] || { local -r token=$REPLY && blank_salt && REPLY=$token$'\n'$REPLY; }
}

seconds() { to_seconds "${PARAM[$1]}" && echo "${REPLY}s"; }
quoted() { json_text "$1" && printf '%s' "$REPLY"; } # a JSON text is a YAML text too

prometheus_yml() {
  cat <<CONF
# Written by towline for the service $service; a change by hand is drift and is taken back.
global:
  scrape_interval: $(seconds scrape_interval)
  scrape_timeout: $(seconds scrape_timeout)
  evaluation_interval: $(seconds evaluation_interval)
$(labels)
$(alerting)
${PARAM[rules]:+rule_files: [rules.yml]}
scrape_configs:
$(self_job)
$(towline_job)
$(while IFS= read -r line; do printf '  %s\n' "$line"; done <<<"${PARAM[scrape_configs]}")
CONF
}

labels() {
  local line
  [[ -n ${PARAM[external_labels]}${PARAM[replica]} ]] || return 0
  echo '  external_labels:'
  [[ -z ${PARAM[replica]} ]] || printf '    replica: %s\n' "$(quoted "${PARAM[replica]}")"
  while IFS= read -r line; do [[ -z $line ]] || printf '    %s: %s\n' "${line%%=*}" "$(quoted "${line#*=}")"; done <<<"${PARAM[external_labels]}"
}

alerting() { # both of a pair send the same alert, so that Alertmanager sees one
  local one
  [[ -n ${PARAM[alertmanagers]// /} ]] || return 0
  printf 'alerting:\n  alert_relabel_configs: [{ action: labeldrop, regex: replica }]\n  alertmanagers:\n  - static_configs:\n    - targets:\n'
  for one in ${PARAM[alertmanagers]}; do printf '      - %s\n' "$(quoted "$one")"; done
}

self_job() {
  [[ ${PARAM[self_scrape]} == true ]] || return 0
  reachable "${PARAM[bind]}"
  [[ $REPLY != *:* ]] || REPLY="[$REPLY]"
  printf '  - job_name: prometheus\n    static_configs: [{ targets: ["%s:%s"] }]\n' "$REPLY" "${PARAM[port]}"
}

towline_job() {
  [[ -n ${PARAM[sd_url]} ]] || return 0
  printf '  - job_name: towline\n    http_sd_configs:\n    - url: %s\n' "$(quoted "${PARAM[sd_url]}")"
  printf '      refresh_interval: %s\n' "$(seconds sd_interval)"
  [[ -z ${SECRET[sd_token]-} ]] || printf '      authorization: { credentials_file: sd_token }\n'
  [[ -z ${PARAM[sd_ca_file]} ]] || printf '      tls_config: { ca_file: %s }\n' "$(quoted "${PARAM[sd_ca_file]}")"
}

launch_command() {
  launch_with_arguments
  LAUNCH_ENVIRONMENT=(TZ=UTC) # so it tells its times
}

healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  reachable "${PARAM[bind]}"
  http_healthy "$REPLY" "${PARAM[port]}" /-/ready || return 1
  runtime || { REASON="says nothing of itself on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  [[ $REPLY == true* ]] || { REASON='could not read its configuration, and keeps the earlier one: its log says why' && return 1; }
}

# runtime -> REPLY: "true TIME" or "false TIME": whether it could read its configuration, and when it last could.
runtime() {
  local said=''
  reachable "${PARAM[bind]}"
  http_short "$REPLY" "${PARAM[port]}" /api/v1/status/runtimeinfo || return 1
  [[ $REPLY =~ \"reloadConfigSuccess\":(true|false) ]] && said=${BASH_REMATCH[1]}
  [[ $REPLY =~ \"lastConfigTime\":\"([^\"]*)\" ]] && REPLY="$said ${BASH_REMATCH[1]}"
}

# HUP, and then proof: a later time at which it read its configuration. It tells whole seconds, so one has to pass.
reload() {
  need_installed
  running || fail "$FAILED" "$service does not run"
  ! needs_restart || fail "$NOT_INSTALLED" "needs a restart, not a reload: $REPLY"
  runtime || fail "$FAILED" "$service does not answer on port ${PARAM[port]}"
  local -r before=$REPLY
  config_digest
  [[ ${IDENTITY[config]-} != "$REPLY" || $before != true* ]] || return 0
  deadline 30
  wait_until later_than "${before#* }"
  signal HUP
  wait_until read_again "$before" || fail "$FAILED" "prometheus keeps its old configuration: $(last_words)"
  runtime && [[ $REPLY == true* ]] || fail "$FAILED" "prometheus refuses its configuration: $(last_words)"
  wait_healthy 20
  reloaded
}

later_than() { [[ $(TZ=UTC0 printf '%(%FT%TZ)T' -1) > $1 ]]; }
read_again() { running && runtime && [[ $REPLY != "$1" ]]; }

is_instance() { [[ ${EXE##*/} == prometheus ]]; } # for discover
instance_name() { REPLY=prometheus; }

run_verb "$@"
