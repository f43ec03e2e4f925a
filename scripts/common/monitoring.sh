# shellcheck shell=bash
# monitoring.sh: what a document may say under `monitoring`, for kinds with the verb monitor_trace: those that tell somebody
# else's monitoring on the host.
#
# MONITORING has lines as PARAMETERS has, each with the effect none. monitor_trace finds the values in MONITOR; nothing is in it where
# the service says nothing: then the wiring is taken out. take_back, where the kind has it, does that at uninstall.

declare -A MONITOR=()
declare -a MONITORING_NAMES=()

read_monitoring() { # the types and bounds go where those of the parameters are, whose names are others
  local PARAMETERS=${MONITORING-}
  local -a PARAMETER_NAMES=()
  read_table
  MONITORING_NAMES=(${PARAMETER_NAMES[@]+"${PARAMETER_NAMES[@]}"})
}

json_monitoring() { # -> REPLY
  local name all=''
  read_monitoring
  for name in ${MONITORING_NAMES[@]+"${MONITORING_NAMES[@]}"}; do
    json_parameter "$name"
    all+=", $REPLY"
  done
  REPLY=${all#, }
}

# wanted_monitoring: the values that monitor_trace was given, checked whole before anything is touched.
wanted_monitoring() {
  local name variable value
  local -a given=("${!TOWLINE_MONITORING_@}")
  ((${#given[@]})) || return 0
  read_monitoring
  for variable in "${given[@]}"; do
    name=${variable#TOWLINE_MONITORING_}
    [[ " ${MONITORING_NAMES[*]-} " == *" $name "* ]] || problem "$name" "$KIND has no such value"
  done
  for name in ${MONITORING_NAMES[@]+"${MONITORING_NAMES[@]}"}; do
    variable=TOWLINE_MONITORING_$name
    value=${!variable-${PARAMETER_DEFAULT[$name]#required}}
    if [[ -z $value && ${PARAMETER_DEFAULT[$name]} == required ]]; then
      problem "$name" 'is missing'
    elif [[ -n $value ]]; then # empty means: not given
      grammar_problem "$name" "$value"
      bounds_problem "$name" "$value"
    fi
    MONITOR[$name]=$value
  done
  PROBLEMS=(${PROBLEMS[@]+"${PROBLEMS[@]/#parameter /monitoring }"})
  refuse_problems
}
