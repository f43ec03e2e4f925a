# shellcheck shell=bash
# change.sh: the verbs that change something, and what they begin and end with.

# prepare: before a verb that changes something: the version is one of ours, the folders are there, one call at a time.
prepare() {
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

installed_as() { # installed_as PROGRAM_VERSION: the last word of install
  put "$run/installed" <<<"version=${TOWLINE_VERSION:-$1}"$'\n'"program=$1"
}

# version_fits PROGRAM_VERSION: what the package holds is what the document says: 6.2 fits 6.2.14.
version_fits() {
  [[ -z ${TOWLINE_VERSION-} || $1 == "$TOWLINE_VERSION" || $1 == "$TOWLINE_VERSION".* ]] ||
    fail "$DOCUMENT_WRONG" "the package holds version $1, the document says $TOWLINE_VERSION"
}

need_installed() { is_installed || fail "$NOT_INSTALLED" "$service is not installed"; }

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
  runs || :
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
  call_off
  if [[ ${TOWLINE_STATE-} == absent ]] && declare -F leave >/dev/null && running; then leave; fi
  if declare -F before_end >/dev/null && running; then before_end; fi
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
  ! declare -F take_back >/dev/null || take_back
  [[ ! -d $etc ]] || remove_tree "$etc"
  [[ ! -d $run ]] || remove_tree "$run"
}

purge() {
  if is_installed || runs; then
    fail "$NOT_INSTALLED" "$service is still installed: uninstall it before its data is deleted"
  fi
  remove_tree "$service_dir"
  forget_account
  unlink "$prefix/services/.$service.lock"
}
