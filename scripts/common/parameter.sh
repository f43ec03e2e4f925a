# shellcheck shell=bash
# parameter.sh: a kind's table of parameters, and the values of one service.
#
# PARAMETERS has a line per parameter:  name | type | default | bounds | effect | help
#   default   what a document that leaves it out gets; `required` means it may not
#   bounds    LOW..HIGH (either may be missing) of a number, of a size in bytes, of a duration in seconds, else of the
#             length; the choices of an enum, with commas
#   effect    what a change needs before it takes hold: none, reload, restart
# The same table makes `meta` and the checks, so they cannot differ.

declare -a PARAMETER_NAMES=()
declare -A PARAMETER_TYPE=() PARAMETER_DEFAULT=() PARAMETER_BOUNDS=() PARAMETER_EFFECT=() PARAMETER_HELP=()
declare -A PARAM=()  # the values, by name; secrets are not in it
declare -A SECRET=() # the files of the secrets, by name
declare -a PROBLEMS=()

trim() { # trim TEXT -> REPLY
  REPLY="${1#"${1%%[![:space:]]*}"}"
  REPLY="${REPLY%"${REPLY##*[![:space:]]}"}"
}

read_table() {
  local name type default bounds effect help
  while IFS='|' read -r name type default bounds effect help; do
    [[ -n $name ]] || continue
    name=${name%% *} type=${type// /}
    PARAMETER_NAMES+=("$name")
    PARAMETER_TYPE[$name]=$type PARAMETER_EFFECT[$name]=${effect// /}
    trim "$default" && PARAMETER_DEFAULT[$name]=$REPLY
    trim "$bounds" && PARAMETER_BOUNDS[$name]=$REPLY
    trim "$help" && PARAMETER_HELP[$name]=$REPLY
  done <<<"$PARAMETERS"
}

# read_defaults: the names and defaults alone. A look needs no more, and asks often.
read_defaults() {
  local row
  local -r IFS=$'\n'
  set -f # rows are split at line ends, and nothing in them is a pattern
  for row in $PARAMETERS; do
    PARAMETER_NAMES+=("${row%%[ |]*}")
    row=${row#*|*|}
    trim "${row%%|*}" && PARAMETER_DEFAULT[${PARAMETER_NAMES[-1]}]=$REPLY
  done
  set +f
}

problem() { PROBLEMS+=("parameter $1: ${2:0:200}"); }

# to_bytes SIZE -> REPLY; 1kb is 1024 bytes and 1k is 1000, as Redis reads them
to_bytes() {
  local -i factor=1
  [[ ${1,,} =~ ^([0-9]{1,9})(b|k|kb|m|mb|g|gb)?$ ]] || return 1
  case ${BASH_REMATCH[2]} in
    k) factor=1000 ;; kb) factor=1024 ;;
    m) factor=1000000 ;; mb) factor=1048576 ;;
    g) factor=1000000000 ;; gb) factor=1073741824 ;;
  esac
  REPLY=$((10#${BASH_REMATCH[1]} * factor))
}

to_seconds() { # to_seconds DURATION -> REPLY
  local -i factor=1
  [[ $1 =~ ^([0-9]{1,9})(s|m|h|d)?$ ]] || return 1
  case ${BASH_REMATCH[2]} in m) factor=60 ;; h) factor=3600 ;; d) factor=86400 ;; esac
  REPLY=$((10#${BASH_REMATCH[1]} * factor))
}

# recorded_parameters [FILE]: into PARAM; false when nothing is recorded. Names that the table no longer has are left out.
recorded_parameters() {
  local file=${1-$run/parameters} line name
  local -a lines
  for name in "${PARAMETER_NAMES[@]}"; do
    PARAM[$name]=${PARAMETER_DEFAULT[$name]#required}
  done
  [[ -r $file ]] || return 1
  mapfile -t lines <"$file"
  for line in "${lines[@]}"; do
    name=${line%%=*}
    [[ -n $name && -n ${PARAM[$name]+known} ]] || continue
    PARAM[$name]=${line#*=}
    [[ $line != *\\* ]] || printf -v "PARAM[$name]" '%b' "${line#*=}"
  done
}
