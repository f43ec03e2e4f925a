# shellcheck shell=bash
# verb.sh: what is the same in every kind: the call itself, looking, start and stop, removal.
#
# A kind has: launch_command (sets LAUNCH_COMMAND ...), healthy (true, or false and REASON), CONFIG_FILES and LINKS in
# service_files, and its own verbs. It may have settle: what is left to do once the process is there, on each start; and
# leave: what others must know before a service that shall be absent ends. A kind that needs more defines the verb itself, after this file.

declare -a CONFIG_FILES=() LINKS=()
declare REASON=''

run_verb() {
  local verb=${1-}
  trap '((BASH_SUBSHELL)) || unexpected "$LINENO" "$BASH_COMMAND"' ERR
  trap : PIPE # an answer that nobody reads any more is no reason to die; children get the default back
  read_table
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

# prepare: before a verb that changes something: the version is one of ours, the folders are there, one call at a time.
prepare() {
  local folder
  supported_version || fail "$DOCUMENT_WRONG" "version ${TOWLINE_VERSION@Q} is not supported: ${VERSIONS// /, }"
  (umask 022 && mkdir -p "$prefix/packages" "$prefix/services") 2>/dev/null || fail "$PERMISSION" "cannot write below $prefix"
  { exec 9>"$prefix/services/.$service.lock"; } 2>/dev/null || fail "$PERMISSION" "cannot write below $prefix"
  flock -w "$LOCK_TIMEOUT_S" 9 || fail "$FAILED" "another call works on $service"
}

supported_version() {
  local version
  [[ -n ${TOWLINE_VERSION-} && -n $VERSIONS ]] || return 0
  for version in $VERSIONS; do
    [[ $TOWLINE_VERSION != "$version" && $TOWLINE_VERSION != "$version".* ]] || return 0
  done
  return 1
}

# What install left: version (as the document said it) and program (as the program says it).
declare -A INSTALLED=()
is_installed() {
  local key value
  INSTALLED=()
  [[ -L $current && -r $run/installed ]] || return 1
  while IFS='=' read -r key value; do INSTALLED[$key]=$value; done <"$run/installed"
}

installed_as() { # installed_as PROGRAM_VERSION: the last word of install
  put "$run/installed" <<<"version=${TOWLINE_VERSION:-$1}"$'\n'"program=$1"
}

# version_fits PROGRAM_VERSION: what the package holds is what the document says: 6.2 fits 6.2.14.
version_fits() {
  [[ -z ${TOWLINE_VERSION-} || $1 == "$TOWLINE_VERSION" || $1 == "$TOWLINE_VERSION".* ]] ||
    fail "$DOCUMENT_WRONG" "the package holds version $1, the document says $TOWLINE_VERSION"
}

need_installed() { is_installed || fail "$NOT_INSTALLED" "$service is not installed"; }

make_folders() { mkdir -p "$service_dir" "$etc" "$data" "$log_dir" "$run"; }

configured() { # the last word of configure: what was recorded, and the digest that check_status will print
  record_parameters
  [[ ! -d $service_dir ]] || share "$etc"
  config_digest
  fact config "$REPLY"
}

# look: the first half of check_status. Ends the call when nothing is there or nothing runs; else the kind goes on.
look() {
  local file
  read_identity || :
  [[ -n ${IDENTITY[adopted]-} ]] || is_installed || [[ -n ${IDENTITY[pid]-} ]] || answer absent "$service is not installed"
  if is_installed; then
    if alive; then config_digest "/proc/${IDENTITY[pid]}/cmdline"; else config_digest; fi
    fact config "$REPLY"
    for file in "${CONFIG_FILES[@]}"; do fact watch "$file"; done
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
  [[ -z ${IDENTITY[config]-} || ${IDENTITY[config]} == "$DIGEST_NOW" ]] ||
    answer degraded 'runs with an earlier configuration'
  answer running
}

# wait_healthy: until healthy, or the process is gone, or the time is over.
wait_healthy() {
  deadline "$1"
  while read_identity && alive; do
    listening_ports "${IDENTITY[pid]}"
    ! healthy || return 0
    ((SECONDS < DEADLINE)) || fail "$FAILED" "$service is not healthy after $1 s: $REASON"
    pause 0.1
  done
  fail "$FAILED" "$service ended right after its start: $(last_words)"
}

start() {
  if [[ -d $run/adopted && (${TOWLINE_STATE-} == adopted || ! -L $current) ]]; then
    start_adopted
    return
  fi
  need_installed
  [[ -r $run/parameters ]] || fail "$NOT_INSTALLED" "$service is not configured"
  if ! running; then
    launch_command
    launch
  fi
  ! declare -F settle >/dev/null || settle
  to_seconds "${PARAM[start_timeout]:-$START_TIMEOUT_S}"
  wait_healthy "$REPLY"
  forget_former
}

stop() {
  to_seconds "${PARAM[stop_timeout]:-$STOP_TIMEOUT_S}"
  local -r patience=$REPLY
  if [[ ${TOWLINE_STATE-} == absent ]] && declare -F leave >/dev/null && running; then leave; fi
  stop_unit
  ! running || stop_owner
  if running; then end_process "$patience"; fi
  clear_leftovers
  # An orderly end leaves no identity behind; one that stays tells that its process went by itself.
  if [[ -n ${IDENTITY[pid]-} && -z ${IDENTITY[adopted]-} ]]; then unlink "$run/identity"; fi
}

restart() {
  stop
  start
}

# needs_restart -> true and REPLY: the parameters that changed since the start and cannot be reloaded.
needs_restart() {
  local name changed=''
  local -A now=()
  for name in "${PARAMETER_NAMES[@]}"; do now[$name]=${PARAM[$name]-}; done
  recorded_parameters "$run/launch/parameters" || return 1
  for name in "${PARAMETER_NAMES[@]}"; do
    [[ ${PARAMETER_EFFECT[$name]} != restart || ${PARAM[$name]-} == "${now[$name]}" ]] || changed+=", $name"
  done
  recorded_parameters
  REPLY=${changed#, }
  [[ -n $REPLY ]]
}

# reloaded: the last word of reload: from now on the process runs with the configuration on disk.
reloaded() {
  config_digest
  [[ ${IDENTITY[config]-} != "$REPLY" ]] || return 0
  local digest=$REPLY key
  put "$run/identity" < <(
    for key in "${!IDENTITY[@]}"; do [[ $key == config ]] || printf '%s=%s\n' "$key" "${IDENTITY[$key]}"; done
    printf 'config=%s\n' "$digest"
  )
  put "$run/launch/facts" < <(
    while IFS= read -r key; do [[ $key == config=* ]] || printf '%s\n' "$key"; done <"$run/launch/facts"
    printf 'config=%s\n' "$digest"
  )
}

uninstall() {
  stop
  forget_unit
  release_packages "${LINKS[@]}"
  forget_former
  [[ ! -d $etc ]] || remove_tree "$etc"
  [[ ! -d $run ]] || remove_tree "$run"
}

purge() {
  if is_installed || running; then
    fail "$NOT_INSTALLED" "$service is still installed: uninstall it before its data is deleted"
  fi
  remove_tree "$service_dir"
  forget_account
  unlink "$prefix/services/.$service.lock"
}
