# shellcheck shell=bash
# meta.sh: the answer to `meta`, made from the kind's tables. Needs nothing of the host.
#
# PACKAGES has a line per role:  role | required or optional | help | what the archive must hold, if that can be said: paths
# below its top folder with blanks between; of those with commas between, one is enough; * stands for any text
# VERBS has the verbs that the kind implements, each with its time limit in seconds.
# METRICS, where the kind serves pages of metrics, has pairs:  parameter of the port, path
# CLUSTER, where services of the kind form clusters, has a line per parameter that membership fills in:
#   parameter | from | form       from: id host address role members others primary; form: one member, {id}@{address}:{port}
# MONITORING, where the kind has the verb monitor_trace: monitoring.sh.
# SIDE_BY_SIDE=true says that another version is installed beside the one that runs, which need not stop for it.

json_text() { # json_text TEXT -> REPLY
  REPLY=${1//\\/\\\\}
  REPLY="\"${REPLY//\"/\\\"}\""
}

json_list() { # json_list WORD... -> REPLY
  local word all=''
  for word in "$@"; do
    json_text "$word"
    all+=", $REPLY"
  done
  REPLY="[${all#, }]"
}

json_parameter() { # json_parameter NAME -> REPLY
  local name=$1 type=${PARAMETER_TYPE[$1]} bounds=${PARAMETER_BOUNDS[$1]} text low high
  local -a choices
  text="{\"name\": \"$name\", \"type\": \"$type\""
  if [[ ${PARAMETER_DEFAULT[$name]} == required ]]; then
    text+=', "required": true'
  elif [[ $type != secret ]]; then
    json_text "${PARAMETER_DEFAULT[$name]}"
    text+=", \"default\": $REPLY"
  fi
  if [[ $bounds == *..* ]]; then
    low=${bounds%%..*} high=${bounds##*..}
    if [[ -n $low ]] && bound_of "$type" "$low"; then text+=", \"min\": $REPLY"; fi
    if [[ -n $high ]] && bound_of "$type" "$high"; then text+=", \"max\": $REPLY"; fi
  elif [[ -n $bounds ]]; then
    IFS=', ' read -ra choices <<<"$bounds"
    json_list "${choices[@]}"
    text+=", \"choices\": $REPLY"
  fi
  json_text "${PARAMETER_HELP[$name]}"
  REPLY="$text, \"effect\": \"${PARAMETER_EFFECT[$name]}\", \"help\": $REPLY}"
}

json_packages() { # -> REPLY
  local line role need help holds all=''
  while IFS= read -r line; do
    [[ -n $line ]] || continue
    trim "${line%%|*}" && role=$REPLY line=${line#*|}
    trim "${line%%|*}" && need=$REPLY
    line=${line#*|}
    trim "${line%%|*}" && help=$REPLY
    holds=''
    [[ $line != *'|'* ]] || json_holds "${line#*|}"
    json_text "$help"
    all+=", {\"role\": \"$role\", \"required\": $([[ $need == required ]] && echo true || echo false), \"help\": $REPLY$holds}"
  done <<<"$PACKAGES"
  REPLY="[${all#, }]"
}

json_holds() { # json_holds TEXT: sets holds of json_packages
  local group
  local -a needs words
  read -ra needs <<<"$1"
  for group in "${needs[@]+"${needs[@]}"}"; do
    IFS=, read -ra words <<<"$group"
    json_list "${words[@]}"
    holds+=", $REPLY"
  done
  [[ -z $holds ]] || holds=", \"holds\": [${holds#, }]"
}

json_metrics() { # -> REPLY
  local all='' number
  local -a words
  read -rd '' -a words <<<"${METRICS-}" || :
  for ((number = 0; number < ${#words[@]}; number += 2)); do
    json_text "${words[number + 1]-/metrics}"
    all+=", {\"port\": \"${words[number]}\", \"path\": $REPLY}"
  done
  REPLY="[${all#, }]"
}

json_cluster() { # -> REPLY
  local line name from all=''
  while IFS= read -r line; do
    [[ -n $line ]] || continue
    trim "${line%%|*}" && name=$REPLY line=${line#*|}
    trim "${line%%|*}" && from=$REPLY
    trim "${line#*|}" && json_text "$REPLY"
    all+=", {\"parameter\": \"$name\", \"from\": \"$from\", \"form\": $REPLY}"
  done <<<"${CLUSTER-}"
  REPLY="[${all#, }]"
}

meta() {
  local name all='' verbs=''
  local -a words
  for name in "${PARAMETER_NAMES[@]}"; do
    json_parameter "$name"
    all+=$',\n  '"$REPLY"
  done
  read -rd '' -a words <<<"$VERBS" || :
  for ((name = 0; name < ${#words[@]}; name += 2)); do
    verbs+=", \"${words[name]}\": {\"timeout_s\": ${words[name + 1]}}"
  done
  printf '{"schema": "towline.meta/1", "kind": "%s", ' "$KIND"
  json_text "$SUMMARY" && printf '"summary": %s, "holds_data": %s,\n' "$REPLY" "$HOLDS_DATA"
  read -ra words <<<"$VERSIONS" && json_list ${words[@]+"${words[@]}"} && printf ' "versions": %s,\n' "$REPLY"
  printf ' "parameters": [%s],\n' "${all#,}"
  json_packages && printf ' "packages": %s,\n' "$REPLY"
  read -ra words <<<"$PORTS" && json_list ${words[@]+"${words[@]}"} && printf ' "ports": %s,\n' "$REPLY"
  json_metrics && printf ' "metrics": %s, "side_by_side": %s,\n' "$REPLY" "${SIDE_BY_SIDE-false}"
  json_cluster && printf ' "cluster": %s,\n' "$REPLY"
  json_monitoring && printf '%s' "${REPLY:+ \"monitoring\": [$REPLY],}" # only where there is some: older agents do not know the word
  printf ' "verbs": {%s}}\n' "${verbs#, }"
}
