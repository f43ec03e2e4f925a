#!/usr/bin/env bash
# node_exporterctl.sh: Prometheus' node exporter, the metrics of the host. Healthy means: our process listens on its port,
# and answers /metrics with its own build information.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"

KIND=node_exporter
SUMMARY='Prometheus node exporter: the metrics of the host'
HOLDS_DATA=false
VERSIONS='1'
PORTS=port
METRICS='port /metrics'

# name | type | default | bounds | effect | help
PARAMETERS='
port           | port     | 9100    |        | restart | Port to listen on
bind           | string   | 0.0.0.0 | 1..64  | restart | Address to listen on
textfile_dir   | path     |         |        | restart | Folder whose *.prom files are shown as well; empty: metrics/ below the prefix, where the agent writes its own
collectors_on  | string   |         | ..2000 | restart | Collectors to switch on beside the usual ones, with blanks between
collectors_off | string   |         | ..2000 | restart | Collectors to switch off, with blanks between
max_requests   | int      | 40      | 1..1000 | restart | Most scrapes at a time
own_metrics    | bool     | true    |        | restart | Also show what the exporter itself costs
extra          | text     |         | ..4000 | restart | More options for the program, one a line
start_timeout  | duration | 30s     | 1s..1h | none    | How long the start may take
stop_timeout   | duration | 30s     | 1s..1h | none    | How long an orderly end may take
'
PACKAGES='
server | required | archive with node_exporter, as upstream publishes it | node_exporter,bin/node_exporter
'
VERBS='
meta 10  check_status 15  discover 15  install 300  configure 30  start 3600  stop 3600  restart 7200  uninstall 3600  purge 60
'

service_files() {
  CONFIG_FILES=("$etc/arguments")
  LINKS=(current)
}

parameters_fit() {
  [[ ${PARAM[bind]} =~ ^([0-9.]+|\[[0-9A-Fa-f:.]+\])$ ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[collectors_on]} =~ ^[a-z0-9_\ ]*$ ]] || problem collectors_on 'has something else than names'
  [[ ${PARAM[collectors_off]} =~ ^[a-z0-9_\ ]*$ ]] || problem collectors_off 'has something else than names'
  options_fit extra '^--(no-)?(web|version|help)|^--collector\.textfile\.directory'
}

program() { program_of "${1-$current}" node_exporter bin/node_exporter; } # program [FOLDER] -> REPLY

install() { install_program server --version; }

configure() {
  local name
  need_installed
  make_folders
  metrics_folder
  ARGUMENTS=("--web.listen-address=${PARAM[bind]}:${PARAM[port]}" "--web.max-requests=${PARAM[max_requests]}"
    "--collector.textfile.directory=$REPLY")
  for name in ${PARAM[collectors_on]}; do ARGUMENTS+=("--collector.$name"); done
  for name in ${PARAM[collectors_off]}; do ARGUMENTS+=("--no-collector.$name"); done
  [[ ${PARAM[own_metrics]} == true ]] || ARGUMENTS+=(--web.disable-exporter-metrics)
  add_options extra
  put_arguments
  configured
}

# The host's folder for metrics: made if need be, read by everybody, and never removed by a service.
metrics_folder() { # -> REPLY
  REPLY=${PARAM[textfile_dir]:-$prefix/metrics}
  [[ -n ${PARAM[textfile_dir]} || -d $REPLY ]] || (umask 022 && mkdir -p "$REPLY")
}

launch_command() { launch_with_arguments; }

# One collector is asked for, so that a look costs the host next to nothing; all of them where that one is switched off.
healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  reachable "${PARAM[bind]}"
  local -r host=$REPLY
  http_body "$host" "${PARAM[port]}" '/metrics?collect[]=time' || { REASON="does not answer HTTP on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  if [[ $HTTP_STATUS == 400 ]]; then http_body "$host" "${PARAM[port]}" /metrics || :; fi
  [[ $HTTP_STATUS == 200 ]] || { REASON="answers HTTP ${HTTP_STATUS:-nothing} to GET /metrics" && return 1; }
  [[ $REPLY == *'node_exporter_build_info{'* ]] || { REASON="shows no node_exporter_build_info on port ${PARAM[port]}" && return 1; }
}

is_instance() { [[ ${EXE##*/} == node_exporter || ${EXE##*/} == prometheus-node-exporter ]]; } # for discover
instance_name() { REPLY=${EXE##*/}; }

run_verb "$@"
