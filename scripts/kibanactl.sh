#!/usr/bin/env bash
# kibanactl.sh: Kibana. Healthy means: our process listens on its port and answers for its own status, and that status is
# green (available): it has reached Elasticsearch and each of its parts is ready.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"

KIND=kibana
SUMMARY='Kibana: searches and dashboards on Elasticsearch'
HOLDS_DATA=true
VERSIONS='5 6 7 8 9'
PORTS=port

# name | type | default | bounds | effect | help
PARAMETERS='
port            | port     | 5601      |          | restart | Port for browsers
bind            | string   | 127.0.0.1 | 1..64    | restart | Address to listen on. There is no TLS: put a proxy in front
name            | string   |           | ..100    | restart | What it calls itself; empty: the name of the service
public_url      | string   |           | ..500    | restart | Where people reach it, without a slash at the end; from 7.11 on
base_path       | string   |           | ..200    | restart | Path that a proxy puts in front and takes off, such as /kibana
elasticsearch   | string   | http://127.0.0.1:9200 | 1..2000 | restart | URLs of Elasticsearch, with commas between; before 6.6 only one
user            | string   |           | ..100    | restart | Account that it logs in to Elasticsearch with
password        | secret   |           |          | restart | Its password
token           | secret   |           |          | restart | Token of a service account, in the place of user and password; from 7.13 on
elasticsearch_ca | text    |           | ..32000  | restart | Certificates that are trusted as those of Elasticsearch (PEM)
verify          | enum     | full      | full, certificate, none | restart | What of the certificate of Elasticsearch is checked: full: its name, too
encryption_key  | secret   |           |          | restart | At least 32 characters, the same on all that share an Elasticsearch: encrypts what people store; from 7.6 on
request_timeout | duration | 30s       | 1s..1h   | restart | How long Elasticsearch may take for an answer
max_heap        | size     | 1gb       | 128mb..  | restart | Memory for objects (--max-old-space-size)
open_files      | int      |           | 1024..1000000 | restart | Most open files and connections; empty: 65536 by systemd, elsewhere as many as the account may have
log_level       | enum     | info      | info, error, debug | restart | How much is written to the log
extra           | text     |           | ..16000  | restart | More settings: name: value, one a line; a list in brackets. Not for secrets
start_timeout   | duration | 5m        | 1s..1h   | none    | How long the start may take
stop_timeout    | duration | 30s       | 1s..1h   | restart | How long an orderly end may take
'
PACKAGES='
server | required | archive with bin/kibana and node, as upstream publishes it | bin/kibana package.json
'
VERBS='
meta 10  check_status 20  discover 15  install 900  configure 60  start 3600  stop 3600  restart 7200  uninstall 3600
purge 600
'

service_files() {
  CONFIG_FILES=("$etc/kibana.yml" "$etc/secrets.yml" "$etc/environment" "$etc/elasticsearch-ca.crt")
  LINKS=(current)
}

readonly ADDRESS='^([0-9.]+|\[[0-9A-Fa-f:.]+\])$'
readonly URL='https?://[A-Za-z0-9._-]+(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~/-]*)?'
readonly NOT_EXTRA='server\.(port|host|name|basePath|rewriteBasePath|publicBaseUrl|ssl\..*)|elasticsearch\.(url|hosts|username|password|serviceAccountToken|requestTimeout|ssl\.(ca|verify|certificateAuthorities|verificationMode))|xpack\.encryptedSavedObjects\.encryptionKey|status\.allowAnonymous|path\.data|pid\.file|logging\.(dest|quiet|silent|verbose|root\.level)'

parameters_fit() {
  local name
  [[ ${PARAM[bind]} =~ $ADDRESS ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[name]} =~ ^[A-Za-z0-9._-]*$ ]] || problem name 'has something else than letters, digits and . _ -'
  [[ -z ${PARAM[public_url]} || (${PARAM[public_url]} =~ ^$URL$ && ${PARAM[public_url]} != */) ]] || problem public_url 'is no URL, or has a slash at its end'
  [[ ${PARAM[base_path]} =~ ^(/[A-Za-z0-9._~-]+)*$ ]] || problem base_path 'is no path such as /kibana'
  [[ ${PARAM[elasticsearch]//[[:space:]]/} =~ ^$URL(,$URL)*$ ]] || problem elasticsearch 'is not URLs with commas between'
  [[ ${PARAM[user]} =~ ^[A-Za-z0-9._@-]*$ ]] || problem user 'has something else than letters, digits and . _ @ -'
  [[ -z ${PARAM[user]} || -n ${SECRET[password]-} ]] || problem password 'is needed for user'
  [[ -z ${SECRET[token]-} || -z ${PARAM[user]} ]] || problem token 'does not go with user'
  [[ -z ${PARAM[elasticsearch_ca]} || ${PARAM[elasticsearch_ca]} == *'-----BEGIN CERTIFICATE-----'*'-----END CERTIFICATE-----'* ]] || problem elasticsearch_ca 'is no certificate in PEM'
  for name in password token encryption_key; do
    secret_text "$name"
    [[ $REPLY != *[[:cntrl:]]* && ${#REPLY} -le 1000 ]] || problem "$name" 'has a control character, or more than 1000 bytes'
  done
  [[ -z $REPLY || ${#REPLY} -ge 32 ]] || problem encryption_key 'is shorter than 32 bytes'
  yaml_fits extra "$NOT_EXTRA"
}

# since VERSION: the program is that version or a later one.
since() { [[ $(printf '%s\n' "$1" "${INSTALLED[program]}" | sort -V | head -n 1) == "$1" ]]; }

install() {
  local line version=''
  place_package server
  local -r folder=$REPLY
  program_of "$folder" bin/kibana
  [[ -r $folder/package.json ]] || fail "$NOT_INSTALLED" 'the package has no package.json'
  while IFS= read -r -N 4096 line || [[ -n $line ]]; do
    [[ ! $line =~ \"version\":\ *\"([0-9]+\.[0-9]+\.[0-9]+) ]] || { version=${BASH_REMATCH[1]} && break; }
    line=''
  done <"$folder/package.json"
  [[ -n $version ]] || fail "$DOCUMENT_WRONG" 'package.json of the package says no version'
  version_fits "$version"
  program_of "$folder" node/bin/node node/default/bin/node node/glibc-217/bin/node
  "$REPLY" --version >/dev/null 2>&1 || fail "$NOT_INSTALLED" 'its node does not run on this host'
  use_package current "$folder"
  installed_as "$version"
}

configure() {
  need_installed
  make_folders
  since 6.6 || [[ ${PARAM[elasticsearch]} != *,* ]] || fail "$DOCUMENT_WRONG" 'parameter elasticsearch: before Kibana 6.6 there is only one URL'
  if [[ -n ${PARAM[elasticsearch_ca]} ]]; then put "$etc/elasticsearch-ca.crt" < <(printf '%s\n' "${PARAM[elasticsearch_ca]%$'\n'}"); else remove_file "$etc/elasticsearch-ca.crt"; fi
  put "$etc/kibana.yml" < <(settings_yml)
  put "$etc/secrets.yml" < <(secrets_yml)
  to_bytes "${PARAM[max_heap]}"
  put "$etc/environment" < <(printf '%s\n' "NODE_OPTIONS=--max-old-space-size=$((REPLY / 1048576))" "KBN_PATH_CONF=$etc")
  configured
}

settings_yml() {
  printf '# Written by towline for the service %s; a change by hand is drift and is taken back.\n' "$service"
  REPLY=${PARAM[bind]#[} && yaml_setting server.host "${REPLY%]}"
  yaml_setting server.port "${PARAM[port]}"
  yaml_text "${PARAM[name]:-$service}" && printf '"server.name": %s\n' "$REPLY"
  [[ -z ${PARAM[base_path]} ]] || yaml_setting server.basePath "${PARAM[base_path]}"
  [[ -z ${PARAM[public_url]} ]] || ! since 7.11 || yaml_setting server.publicBaseUrl "${PARAM[public_url]}"
  elasticsearch_settings
  yaml_setting path.data "$data"
  yaml_setting status.allowAnonymous true # health is asked without a password
  if since 8; then
    yaml_setting logging.root.level "${PARAM[log_level]}"
  elif [[ ${PARAM[log_level]} != info ]]; then
    yaml_setting "logging.$([[ ${PARAM[log_level]} == debug ]] && echo verbose || echo quiet)" true
  fi
  yaml_lines extra
}

elasticsearch_settings() {
  local -r urls=${PARAM[elasticsearch]//[[:space:]]/}
  to_seconds "${PARAM[request_timeout]}" && yaml_setting elasticsearch.requestTimeout "${REPLY}000"
  [[ -z ${PARAM[user]} ]] || { yaml_text "${PARAM[user]}" && printf '"elasticsearch.username": %s\n' "$REPLY"; }
  if since 6.6; then yaml_setting elasticsearch.hosts "[$urls]"; else yaml_setting elasticsearch.url "$urls"; fi
  if since 5.3; then
    yaml_setting elasticsearch.ssl.verificationMode "${PARAM[verify]}"
    [[ -z ${PARAM[elasticsearch_ca]} ]] || yaml_setting elasticsearch.ssl.certificateAuthorities "[$etc/elasticsearch-ca.crt]"
  else
    yaml_setting elasticsearch.ssl.verify "$([[ ${PARAM[verify]} == none ]] && echo false || echo true)"
    [[ -z ${PARAM[elasticsearch_ca]} ]] || yaml_setting elasticsearch.ssl.ca "$etc/elasticsearch-ca.crt"
  fi
}

# secrets_yml: a file of its own, the only place where they stand.
secrets_yml() {
  local name
  local -A setting=([password]=elasticsearch.password [token]=elasticsearch.serviceAccountToken [encryption_key]=xpack.encryptedSavedObjects.encryptionKey)
  salt
  printf '# %s: makes the digest of this file say nothing about what is secret\n' "$REPLY"
  for name in password token encryption_key; do
    secret_text "$name"
    [[ -n $REPLY && ($name != password || -n ${PARAM[user]}) ]] || continue
    REPLY=${REPLY//\\/\\\\}
    printf '"%s": "%s"\n' "${setting[$name]}" "${REPLY//\"/\\\"}"
  done
}

launch_command() {
  give_account
  mapfile -t LAUNCH_ENVIRONMENT <"$etc/environment"
  LAUNCH_FOLDER=$data
  LAUNCH_COMMAND=("$current/bin/kibana" -c "$etc/kibana.yml" -c "$etc/secrets.yml")
  never_root
  limited
}

unit_lines() { to_seconds "${PARAM[stop_timeout]}" && printf '%s\n' "LimitNOFILE=${PARAM[open_files]:-65536}" "TimeoutStopSec=$REPLY"; }

# What start waits for: that it answers. Whether it has reached Elasticsearch, which may start later, check_status tells.
declare ANSWER=''
healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  reachable "${PARAM[bind]}"
  http_short "$REPLY" "${PARAM[port]}" /api/status || { REASON="does not answer HTTP on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  ANSWER=$REPLY
  [[ $HTTP_STATUS == @(200|503) ]] || { REASON="answers HTTP $HTTP_STATUS when asked for its status" && return 1; }
}

# whole: of ANSWER; `state` up to version 7, `level` from then on.
whole() {
  local state=''
  [[ ! $ANSWER =~ \"overall\":\{[^}]*\"(state|level)\":\"([a-z]+)\" ]] || state=${BASH_REMATCH[2]}
  case $state in
    green | available) return 0 ;;
    '') REASON="is not ready yet: ${ANSWER:0:100}" ;;
    *)
      REASON="its status is $state"
      if [[ $ANSWER =~ \"state\":\"(red|yellow)\"[^}]*\"message\":\"([^\"]*)\" ]] || [[ $ANSWER =~ (\"overall\":)\{[^}]*\"summary\":\"([^\"]*)\" ]]; then REASON+=": ${BASH_REMATCH[2]:0:200}"; fi
      ;;
  esac
  return 1
}

is_instance() { # for discover
  local word
  [[ ${EXE##*/} == node ]] || return 1
  for word in "${COMMAND[@]}"; do [[ $word != */bin/../src/cli && $word != */bin/../src/cli/dist && $word != */kibana*/src/cli* ]] || return 0; done
  return 1
}
instance_name() { REPLY=kibana; }

run_verb "$@"
