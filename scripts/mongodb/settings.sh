# shellcheck shell=bash
# settings.sh: mongod.conf. MongoDB reads a setting's whole path in one line (net.port: 27017), which is how it is written here; only
# setParameter must be a mapping of its own.

declare -a SETTING_PATHS=() SETTING_VALUES=()

yaml_text() { # yaml_text TEXT -> REPLY: in quotes
  REPLY=${1//\\/\\\\}
  REPLY="\"${REPLY//\"/\\\"}\""
}

# mongod_settings TEXT: a small YAML: mappings by indentation or by dots, one value a line, comments in lines of their own. Sets
# SETTING_PATHS and SETTING_VALUES; false, with the line in REPLY, where it is something else.
readonly SETTING_LINE='^( *)([A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*):( +(.*))?$'
readonly PLAIN_VALUE='^([A-Za-z0-9_./-][A-Za-z0-9_./: -]*|"([^"\\]|\\.)*"|'\''[^'\'']*'\''|\[[^][{}&*!|>%@`#]*\])$'
mongod_settings() {
  local line path value
  local -i depth=0 indent
  local -a indents=() names=()
  SETTING_PATHS=() SETTING_VALUES=()
  while IFS= read -r line; do
    [[ ! $line =~ ^\ *(#.*)?$ ]] || continue
    [[ $line =~ $SETTING_LINE ]] || { REPLY=$line && return 1; }
    indent=${#BASH_REMATCH[1]} path=${BASH_REMATCH[2]} value=${BASH_REMATCH[5]}
    while ((depth > 0 && indents[depth - 1] >= indent)); do depth=$((depth - 1)); done
    ((depth > 0 || indent == 0)) || { REPLY=$line && return 1; }
    ((depth == 0)) || path=${names[depth - 1]}.$path
    trim "$value" && value=$REPLY
    if [[ -z $value ]]; then
      indents[depth]=$indent names[depth]=$path depth=$((depth + 1))
    elif [[ $value =~ $PLAIN_VALUE && ($value == [\"\'[]* || ($value != *:\ * && $value != *:)) ]]; then
      SETTING_PATHS+=("$path") SETTING_VALUES+=("$value")
    else
      REPLY=$line && return 1
    fi
  done <<<"$1"
}

# What extra may not set: parameters, places, and what towline's own questions go without.
readonly TAKEN_OF_MONGOD='net\.(port|bindIp|bindIpAll|maxIncomingConnections|ipv6|tls|ssl|unixDomainSocket)|processManagement|sharding|config|outputConfig'
readonly TAKEN_OF_DATA='storage\.(dbPath|directoryPerDB|wiredTiger\.engineConfig\.cacheSizeGB)|replication\.(replSetName|replSet|oplogSizeMB)'
readonly TAKEN_OF_ACCESS='security\.(authorization|keyFile|clusterAuthMode|transitionToAuth)|operationProfiling\.(mode|slowOpThresholdMs)'
readonly TAKEN_OF_LOG='systemLog\.(destination|path|logAppend|verbosity|quiet|timeStampFormat|logRotate|syslogFacility)'
readonly SETTING_TAKEN="^($TAKEN_OF_MONGOD|$TAKEN_OF_DATA|$TAKEN_OF_ACCESS|$TAKEN_OF_LOG)(\\.|\$)"

extra_fits() {
  local path
  local -A seen=()
  mongod_settings "${PARAM[extra]}" || { problem extra "has a line that is not name: value: ${REPLY@Q}" && return 0; }
  for path in ${SETTING_PATHS[@]+"${SETTING_PATHS[@]}"}; do
    [[ ! $path =~ $SETTING_TAKEN ]] || problem extra "has $path, which is set by a parameter or by towline itself"
    [[ -z ${seen[$path]-} ]] || problem extra "has $path twice"
    seen[$path]=1
  done
}

mongod_conf() {
  local -i index
  local tail=''
  yaml_text "$data/${PARAM[data_folder]}" && local -r folder=$REPLY
  printf '%s\n' "# Written by towline for the service $service; a change by hand is drift and is taken back." \
    "net.port: ${PARAM[port]}" "net.bindIp: $(bound_addresses)" 'net.unixDomainSocket.enabled: false' \
    "net.maxIncomingConnections: ${PARAM[max_connections]}" "storage.dbPath: $folder" "storage.directoryPerDB: ${PARAM[folder_per_database]}"
  [[ ${PARAM[bind]} != *:* ]] || echo 'net.ipv6: true'
  [[ -z ${PARAM[cache_size]} ]] || printf 'storage.wiredTiger.engineConfig.cacheSizeGB: %s\n' "$(gigabytes cache_size)"
  to_seconds "${PARAM[slow_after]}" && printf '%s\n' "operationProfiling.slowOpThresholdMs: $((REPLY * 1000))" "systemLog.verbosity: ${PARAM[log_verbosity]}"
  if has_accounts; then printf 'security.authorization: enabled\n'; fi
  if [[ -n ${PARAM[replica_set]} ]]; then
    printf '%s\n' "replication.replSetName: ${PARAM[replica_set]}"
    [[ -z ${PARAM[oplog_size]} ]] || { to_bytes "${PARAM[oplog_size]}" && printf 'replication.oplogSizeMB: %s\n' "$((REPLY / 1048576))"; }
  fi
  if has_keyfile; then yaml_text "$run/mongodb/keyfile" && printf 'security.keyFile: %s\n' "$REPLY"; fi
  mongod_settings "${PARAM[extra]}"
  for index in "${!SETTING_PATHS[@]}"; do
    if [[ ${SETTING_PATHS[index]} == setParameter.* ]]; then
      tail+=$'\n'"  ${SETTING_PATHS[index]#setParameter.}: ${SETTING_VALUES[index]}"
    else
      printf '%s: %s\n' "${SETTING_PATHS[index]}" "${SETTING_VALUES[index]}"
    fi
  done
  [[ -z $tail ]] || printf 'setParameter:%s\n' "$tail"
}

bound_addresses() { # towline itself asks at the loopback address, where MongoDB lets the first account be made
  case ${PARAM[bind]} in
    0.0.0.0 | \*) echo 0.0.0.0 ;;
    *) [[ ,${PARAM[bind]}, == *,127.0.0.1,* ]] && echo "${PARAM[bind]}" || echo "127.0.0.1,${PARAM[bind]}" ;;
  esac
}

gigabytes() { # gigabytes NAME: with three digits behind the point
  to_bytes "${PARAM[$1]}"
  printf '%d.%03d\n' "$((REPLY >> 30))" "$(((REPLY & 0x3fffffff) * 1000 >> 30))"
}
