# shellcheck shell=bash
# wanted.sh: the values that a call was given, checked whole before anything is touched; and recorded for later calls.

# number_of TYPE VALUE -> REPLY: what the bounds are about, or failure where the grammar is not met.
number_of() {
  case $1 in
    int | port)
      [[ $2 =~ ^-?(0|[1-9][0-9]{0,17})$ ]] || return 1
      REPLY=$2
      ;;
    size) to_bytes "$2" ;;
    duration) to_seconds "$2" ;;
    *)
      local LC_ALL=C.UTF-8 # people and the document count characters
      REPLY=${#2}
      ;;
  esac
}

readonly HOST_AND_PORT='^([A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]+\]):([1-9][0-9]{0,4})$'

# grammar_problem NAME VALUE: says so when the value is not of its type.
grammar_problem() {
  local name=$1 value=$2 type=${PARAMETER_TYPE[$1]} bare=${2//[$'\n\t']/}
  case $type in
    int) [[ $value =~ ^-?(0|[1-9][0-9]{0,17})$ ]] || problem "$name" "${value@Q} is not a whole number" ;;
    port) [[ $value =~ ^[1-9][0-9]{0,4}$ && $value -le 65535 ]] || problem "$name" "${value@Q} is not a port" ;;
    size) to_bytes "$value" || problem "$name" "${value@Q} is not a size such as 256mb" ;;
    duration) to_seconds "$value" || problem "$name" "${value@Q} is not a duration such as 30s" ;;
    bool) [[ $value == true || $value == false ]] || problem "$name" "${value@Q} is not true or false" ;;
    peer) [[ $value =~ $HOST_AND_PORT && ${BASH_REMATCH[3]} -le 65535 ]] || problem "$name" "${value@Q} is not HOST:PORT" ;;
    path) [[ $value == /* && $value != *[[:cntrl:]]* && /$value/ != */../* ]] || problem "$name" "${value@Q} is not an absolute path" ;;
    enum) [[ ,${PARAMETER_BOUNDS[$name]//[[:space:]]/}, == *",$value,"* && $value != *,* ]] ||
      problem "$name" "${value@Q} is none of ${PARAMETER_BOUNDS[$name]}" ;;
    string) [[ $value != *[[:cntrl:]]* ]] || problem "$name" "has a line end or another control character" ;;
    text) [[ $bare != *[[:cntrl:]]* ]] || problem "$name" "has a control character other than line end and tab" ;;
  esac
}

bounds_problem() { # bounds_problem NAME VALUE
  local name=$1 type=${PARAMETER_TYPE[$1]} bounds=${PARAMETER_BOUNDS[$1]} low high unit=''
  [[ $bounds == *..* ]] || return 0
  number_of "$type" "$2" || return 0
  local -i number=$REPLY
  low=${bounds%%..*} high=${bounds##*..}
  case $type in int | port | size | duration) ;; *) unit=' characters' ;; esac
  if [[ -n $low ]] && bound_of "$type" "$low" && ((number < REPLY)); then
    problem "$name" "is below $low$unit"
  elif [[ -n $high ]] && bound_of "$type" "$high" && ((number > REPLY)); then
    problem "$name" "is above $high$unit"
  fi
}

bound_of() { # bound_of TYPE TEXT -> REPLY: the number that a bound means
  case $1 in size | duration) number_of "$1" "$2" ;; *) REPLY=$2 ;; esac
}

# wanted_parameters: the values that this call was given, checked whole before anything is touched.
wanted_parameters() {
  local name variable value
  for variable in "${!TOWLINE_PARAM_@}" "${!TOWLINE_SECRET_@}"; do
    name=${variable#TOWLINE_*_}
    [[ -n ${PARAMETER_TYPE[$name]-} ]] || problem "$name" "$KIND has no such parameter"
  done
  for name in "${PARAMETER_NAMES[@]}"; do
    if [[ ${PARAMETER_TYPE[$name]} == secret ]]; then
      wanted_secret "$name"
      continue
    fi
    variable=TOWLINE_PARAM_$name
    value=${!variable-${PARAMETER_DEFAULT[$name]}}
    if [[ -z ${!variable-} && ${PARAMETER_DEFAULT[$name]} == required ]]; then
      problem "$name" "is missing"
    elif [[ -n $value ]]; then # empty means: not given
      grammar_problem "$name" "$value"
      bounds_problem "$name" "$value"
    fi
    printf -v "PARAM[$name]" '%s' "$value"
  done
  ports_differ
  if declare -F parameters_fit >/dev/null && ((${#PROBLEMS[@]} == 0)); then parameters_fit; fi
  refuse_problems
}

# ports_differ: a service that listens twice on one port would not start; which of the two it is, its log seldom says.
ports_differ() {
  local name
  local -A taken=()
  for name in $PORTS; do
    [[ ${PARAM[$name]-} =~ ^[0-9]+$ ]] || continue # empty is none, and what is no port is told already
    [[ -z ${taken[${PARAM[$name]}]-} ]] || problem "$name" "is the port of ${taken[${PARAM[$name]}]} too"
    taken[${PARAM[$name]}]=$name
  done
}

wanted_secret() {
  local variable=TOWLINE_SECRET_$1
  SECRET[$1]=${!variable-}
  [[ -n ${SECRET[$1]} ]] || return 0
  [[ -f ${SECRET[$1]} && -r ${SECRET[$1]} ]] || problem "$1" "its secret file cannot be read"
}

refuse_problems() {
  local all
  ((${#PROBLEMS[@]})) || return 0
  printf -v all '%s; ' "${PROBLEMS[@]}"
  fail "$DOCUMENT_WRONG" "${all%; }"
}

# secret_text NAME -> REPLY: the secret, without one line end at its end.
secret_text() {
  REPLY=''
  [[ -n ${SECRET[$1]-} ]] || return 0
  IFS= read -r -d '' REPLY <"${SECRET[$1]}" || :
  REPLY=${REPLY%$'\n'}
}

# What configure recorded, for every verb that is not told (and for a person): run/parameters, a line per parameter,
# with \n and \\ for line ends and backslashes. No secrets.
record_parameters() {
  local name value text=''
  for name in "${PARAMETER_NAMES[@]}"; do
    [[ ${PARAMETER_TYPE[$name]} != secret ]] || continue
    value=${PARAM[$name]//\\/\\\\}
    text+="$name=${value//$'\n'/\\n}"$'\n'
  done
  put "$run/parameters" <<<"${text%$'\n'}"
}
