# shellcheck shell=bash
# verb.sh: what is the same in every kind: the call itself, and looking.
#
# A kind has: launch_command (sets LAUNCH_COMMAND ...), healthy (true, or false and REASON), CONFIG_FILES and LINKS in
# service_files, and its own verbs. It may have settle: what is left to do once the process is there, on each start; leave: what
# others must know before a service that shall be absent ends; before_end: what a process must have reached to be told to end; take_back: what it changed of the host itself, at uninstall; and
# whole (true, or false and REASON): its cluster as this member sees it, asked right after healthy, and only by a look: a
# start does not wait for others. A kind that needs more defines the verb itself, after this file.

declare -a CONFIG_FILES=() LINKS=()
declare REASON=''

run_verb() {
  local verb=${1-}
  trap '((BASH_SUBSHELL)) || unexpected "$LINENO" "$BASH_COMMAND"' ERR
  trap : PIPE # an answer that nobody reads any more is no reason to die; children get the default back
  if [[ $verb == check_status ]]; then read_defaults; else read_table; fi
  [[ -n $verb && $verb =~ ^[a-z_]+$ ]] || usage
  [[ " $VERBS " =~ [[:space:]]"$verb"[[:space:]] ]] || fail "$NOT_IMPLEMENTED" "$KIND has no verb $verb"
  if [[ $verb == meta ]]; then meta && exit "$DONE"; fi
  the_service "${@:2}"
  case $verb in
    check_status | discover) ;;
    *) prepare ;;
  esac
  case $verb in
    install | configure | take_over) wanted_parameters ;;
    *) recorded_parameters || : ;;
  esac
  [[ $verb != monitor_trace ]] || wanted_monitoring
  "$verb"
  [[ $verb == discover ]] || printf 'changed=%s\n' "$CHANGED"
}

usage() {
  local number names=''
  local -a words
  read -rd '' -a words <<<"$VERBS" || :
  for ((number = 0; number < ${#words[@]}; number += 2)); do names+=" ${words[number]}"; done
  log "usage: bash ${0##*/} VERB [SERVICE] [--prefix FOLDER]"
  log "  $SUMMARY. Verbs:$names"
  log '  By hand, SERVICE has the parameters that were recorded when it was configured.'
  exit "$BAD_ARGUMENTS"
}

# the_service [SERVICE] [--prefix FOLDER]: from the environment, or by hand from the arguments.
the_service() {
  prefix=${TOWLINE_PREFIX:-$DEFAULT_PREFIX} service=${TOWLINE_SERVICE-}
  while (($#)); do
    case $1 in
      --prefix) prefix=${2-} && shift ;;
      -*) usage ;;
      *) service=$1 ;;
    esac
    shift || usage
  done
  [[ $service =~ ^[a-z]([a-z0-9-]{0,46}[a-z0-9])?$ ]] || fail "$BAD_ARGUMENTS" "no service, or no name of one: ${service@Q}"
  [[ $prefix == /?* && $prefix != *[[:cntrl:]]* && /$prefix/ != */../* ]] || fail "$BAD_ARGUMENTS" "the prefix ${prefix@Q} is no absolute path"
  prefix=${prefix%/}
  service_dir=$prefix/services/$service
  etc=$service_dir/etc data=$service_dir/data log_dir=$service_dir/log run=$service_dir/run current=$service_dir/current
  service_files
}

# What install left: version (as the document said it) and program (as the program says it).
declare -A INSTALLED=()
is_installed() {
  local key value
  INSTALLED=()
  [[ -L $current && -r $run/installed ]] || return 1
  while IFS='=' read -r key value; do INSTALLED[$key]=$value; done <"$run/installed"
}

make_folders() { mkdir -p "$service_dir" "$etc" "$data" "$log_dir" "$run"; }

configured() { # the last word of configure: what was recorded, and the digest that check_status will print
  record_parameters
  [[ ! -d $service_dir ]] || share "$etc"
  config_digest
  keep_written
  fact config "$REPLY"
}

# look: the first half of check_status. Ends the call when nothing is there or nothing runs; else the kind goes on.
look() {
  read_identity || :
  [[ -n ${IDENTITY[adopted]-} ]] || is_installed || [[ -n ${IDENTITY[pid]-} ]] || answer absent "$service is not installed"
  if is_installed; then
    if alive; then config_digest "/proc/${IDENTITY[pid]}/cmdline"; else config_digest; fi
    config_facts
  elif alive; then
    digests "/proc/${IDENTITY[pid]}/cmdline"
  fi
  DIGEST_NOW=$REPLY
  if ! alive; then
    [[ -z ${INSTALLED[version]-} ]] || fact version "${INSTALLED[version]}"
    [[ -z ${IDENTITY[pid]-} ]] || answer stopped "process ${IDENTITY[pid]} is gone"
    answer stopped
  fi
  [[ -z ${IDENTITY[version]-} ]] || fact version "${IDENTITY[version]}"
  identity_facts
}

# config_facts: what check_status says of the configuration, after config_digest; REPLY stays.
config_facts() {
  local file kept_digest=''
  local -r digest=$REPLY
  fact config "$digest"
  for file in "${CONFIG_FILES[@]}"; do fact watch "$file"; done
  if [[ -r $run/written/digests ]]; then read -r kept_digest <"$run/written/digests" || :; fi
  [[ -z $kept_digest || $kept_digest == "$digest" ]] || (tell_drift) || fact drift 'the configuration differs' # odd bytes shall not end a look
  REPLY=$digest
}

# tell_drift: reads what a light look has left out; in a shell of its own, whose variables nobody else needs.
tell_drift() {
  if ! declare -F drift_facts >/dev/null; then
    # shellcheck source=common/keys.sh
    . "$COMMON/common/keys.sh"
    # shellcheck source=common/drift.sh
    . "$COMMON/common/drift.sh"
  fi
  drift_facts
}

identity_facts() { # after digests or config_digest with the command line as last file
  local key port
  for key in pid start_time boot_id unit; do
    [[ -z ${IDENTITY[$key]-} ]] || fact "$key" "${IDENTITY[$key]}"
  done
  listening_ports "${IDENTITY[pid]}"
  [[ -z $EXE ]] || fact exe "$EXE"
  fact command "${DIGESTS[-1]}"
  for port in ${LISTENING[@]+"${LISTENING[@]}"}; do fact port "$port"; done
}

check_status() {
  look
  healthy || answer degraded "$REASON"
  ! declare -F whole >/dev/null || whole || answer degraded "$REASON"
  [[ -z ${IDENTITY[config]-} || ${IDENTITY[config]} == "$DIGEST_NOW" ]] ||
    answer degraded 'runs with an earlier configuration'
  answer running
}
