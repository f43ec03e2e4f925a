# shellcheck shell=bash
# settings.sh: SkyWalking's own application.yml, with our values in the places that upstream left for variables of the environment:
# ${SW_CORE_REST_PORT:12800}. Its environment could be read by others, and the file holds a password.

declare -A SET=() # by the name of the variable: what stands there as it is

# set_text NAME VALUE: a text, whatever it looks like. SkyWalking reads the file as YAML, fills places that look like variables, and
# reads each value as YAML again: so it is quoted twice, and has no dollar.
set_text() {
  REPLY=${2//\\/\\\\}
  REPLY=${REPLY//\"/\\\"}
  REPLY="\"${REPLY//\$/\\x24}\""
  SET[$1]="'${REPLY//\'/\'\'}'"
}

set_word() { SET[$1]=$2; } # set_word NAME VALUE: a number, a name of a module

readonly PLACE='\$\{([A-Z][A-Z0-9_]*):([^{}]*)\}'

# filled FILE: the file with SET in its places. Names of SET that it has no place for are left in MISSING.
declare MISSING=''
filled() {
  local line before
  local -A found=()
  local -a lines=()
  MISSING=''
  while IFS= read -r line || [[ -n $line ]]; do
    before=''
    while [[ $line =~ $PLACE ]]; do
      before+=${line%%"${BASH_REMATCH[0]}"*}
      line=${line#*"${BASH_REMATCH[0]}"}
      if [[ -n ${SET[${BASH_REMATCH[1]}]+there} ]]; then
        before+=${SET[${BASH_REMATCH[1]}]} found[${BASH_REMATCH[1]}]=1
      else
        before+=${BASH_REMATCH[0]}
      fi
    done
    lines+=("$before$line")
  done <"$1"
  for line in "${!SET[@]}"; do [[ -n ${found[$line]-} ]] || MISSING+=" $line"; done
  FILLED=("${lines[@]}")
}
declare -a FILLED=()

extra_fits() {
  local line
  while IFS= read -r line; do
    if [[ ! $line =~ ^(#.*|[A-Z][A-Z0-9_]*=[]A-Za-z0-9_.,:/@*+=\ [-]*)?$ ]]; then
      problem extra "has a line that is not SW_NAME=value in letters, digits and _ . , : / @ * + = [ ] -: ${line%%=*}"
    elif [[ ${line%%=*} =~ ^(SW_CORE_(REST|GRPC)_(HOST|PORT)|SW_STORAGE|SW_STORAGE_(H2_(URL|USER)|ES_CLUSTER_NODES|ES_HTTP_PROTOCOL)|SW_NAMESPACE|SW_ES_(USER|PASSWORD)|SW_JDBC_URL|SW_DATA_SOURCE_(USER|PASSWORD)|SW_CORE_(RECORD|METRICS)_DATA_TTL|SW_TELEMETRY(_PROMETHEUS_(HOST|PORT))?|SW_(SERVER_PORT|OAP_ADDRESS))$ ]]; then
      problem extra "has ${line%%=*}, which is set by a parameter or by towline itself"
    fi
  done <<<"${PARAM[extra]}"
}

wanted_settings() { # of the document, into SET
  local line
  SET=()
  if is_ui; then ui_settings; else oap_settings; fi
  while IFS= read -r line; do
    [[ -z $line || $line == \#* ]] || SET[${line%%=*}]="'${line#*=}'"
  done <<<"${PARAM[extra]}"
}

ui_settings() {
  set_word SW_SERVER_PORT "${PARAM[port]}"
  set_word SW_OAP_ADDRESS "${PARAM[oap_addresses]}"
}

oap_settings() {
  local password
  set_text SW_CORE_REST_HOST "${PARAM[bind]}"
  set_word SW_CORE_REST_PORT "${PARAM[port]}"
  set_text SW_CORE_GRPC_HOST "${PARAM[bind]}"
  set_word SW_CORE_GRPC_PORT "${PARAM[grpc_port]}"
  set_word SW_CORE_RECORD_DATA_TTL "${PARAM[records_kept]}"
  set_word SW_CORE_METRICS_DATA_TTL "${PARAM[metrics_kept]}"
  if [[ -n ${PARAM[metrics_port]} ]]; then
    set_word SW_TELEMETRY prometheus
    set_text SW_TELEMETRY_PROMETHEUS_HOST "${PARAM[bind]}"
    set_word SW_TELEMETRY_PROMETHEUS_PORT "${PARAM[metrics_port]}"
  fi
  set_word SW_STORAGE "${PARAM[storage]}"
  secret_text storage_password && password=$REPLY
  case ${PARAM[storage]} in
    h2)
      set_text SW_STORAGE_H2_URL "${PARAM[storage_url]:-jdbc:h2:$data/h2/skywalking;DATABASE_TO_UPPER=FALSE}"
      set_text SW_STORAGE_H2_USER "${PARAM[storage_user]:-sa}"
      ;;
    elasticsearch)
      set_text SW_STORAGE_ES_CLUSTER_NODES "${PARAM[storage_url]}"
      set_text SW_STORAGE_ES_HTTP_PROTOCOL "${PARAM[storage_protocol]}"
      set_text SW_NAMESPACE "${PARAM[storage_namespace]}"
      set_text SW_ES_USER "${PARAM[storage_user]}"
      set_text SW_ES_PASSWORD "$password"
      ;;
    *)
      set_text SW_JDBC_URL "${PARAM[storage_url]}"
      set_text SW_DATA_SOURCE_USER "${PARAM[storage_user]}"
      set_text SW_DATA_SOURCE_PASSWORD "$password"
      ;;
  esac
}

# settings_text: the file, from the package's. What the version does not know, the document gets back.
settings_text() {
  salt
  printf '# %s\n' "$REPLY: written by towline for the service $service from its package; a change by hand is drift and is taken back."
  printf '%s\n' "${FILLED[@]}"
}

# All to standard output, which becomes log/<service>.log.
logging_xml() {
  printf '%s\n' '<?xml version="1.0" encoding="UTF-8"?>' '<!-- Written by towline; a change by hand is drift and is taken back. -->' \
    '<Configuration status="WARN">' '  <Appenders><Console name="out" target="SYSTEM_OUT"><PatternLayout pattern="%d %c{1} [%t] %-5p %m%n"/></Console></Appenders>' \
    "  <Loggers><Root level=\"${PARAM[log_level]}\"><AppenderRef ref=\"out\"/></Root></Loggers>" '</Configuration>'
}
