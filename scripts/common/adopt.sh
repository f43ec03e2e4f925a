# shellcheck shell=bash
# adopt.sh: processes that run here and are not ours: found, taken over as they are, given back.
#
# A kind that can has is_instance (of EXE and COMMAND: is this one of mine?) and instance_name.

declare -a COMMAND=() CANDIDATES=()

# candidates [TEST]: sets CANDIDATES to the pids of instances that no service of towline's has. One process for all.
candidates() {
  local folder pid
  local -A ours=()
  CANDIDATES=()
  for folder in "$prefix"/services/*/; do
    run=${folder}run
    ! running || ours[${IDENTITY[pid]}]=1
  done
  run=$service_dir/run
  while IFS=' ' read -r pid EXE; do
    pid=${pid#/proc/}
    EXE=${EXE% (deleted)}
    if [[ -n ${ours[$pid]-} || $pid == "$$" ]] || ! process_stat "$pid"; then continue; fi
    if read_command "$pid" && is_instance && "${1-true}" "$pid"; then CANDIDATES+=("$pid"); fi
  done < <(find /proc -mindepth 2 -maxdepth 2 -path '/proc/[0-9]*/exe' -printf '%h %l\n' 2>/dev/null || :)
}

read_command() { # read_command PID: sets COMMAND
  COMMAND=()
  { mapfile -d '' -t COMMAND <"/proc/$1/cmdline"; } 2>/dev/null && ((${#COMMAND[@]}))
}

discover() {
  local pid ports
  boot_id && local -r boot=$REPLY
  candidates
  for pid in ${CANDIDATES[@]+"${CANDIDATES[@]}"}; do
    if ! process_stat "$pid" || ! read_command "$pid"; then continue; fi
    listening_ports "$pid"
    printf -v ports '%s,' ${LISTENING[@]+"${LISTENING[@]}"}
    instance_name
    fact instance "pid=$pid;start_time=$START_TIME;boot_id=$boot;port=${ports%,};exe=${EXE//;/_};name=${REPLY//;/_}"
  done
}

# is_wanted PID: the instance that the parameters match and port describe
is_wanted() {
  # shellcheck disable=SC2053 # match is a pattern by intent
  [[ -z ${PARAM[match]} || "${COMMAND[*]}" == *${PARAM[match]}* ]] || return 1
  [[ -n ${PARAM[port]} ]] || return 0
  listening_ports "$1"
  listens "${PARAM[port]}"
}

# take_over: one running instance becomes ours as it is. It gets no signal; nothing about it changes.
take_over() {
  if runs; then
    [[ -n ${IDENTITY[adopted]-} ]] || fail "$NOT_INSTALLED" "$service already runs a process of its own"
  else
    [[ -n ${PARAM[match]}${PARAM[port]} ]] || fail "$DOCUMENT_WRONG" 'parameter match: say by match or port which process to adopt'
    candidates is_wanted
    ((${#CANDIDATES[@]} == 1)) || fail "$NOT_INSTALLED" "$(described_candidates)"
    make_folders
    adopt "${CANDIDATES[0]}"
  fi
  record_parameters
  read_identity
  digests "/proc/${IDENTITY[pid]}/cmdline"
  identity_facts
}

described_candidates() {
  local pid
  ((${#CANDIDATES[@]})) || { echo "no $KIND process here matches ${PARAM[match]@Q} ${PARAM[port]:+and listens on port ${PARAM[port]}}" && return 0; }
  printf '%s processes match, one is needed:' "${#CANDIDATES[@]}"
  for pid in "${CANDIDATES[@]}"; do
    read_command "$pid" || continue
    instance_name
    printf ' %s (%s)' "$pid" "${REPLY:0:60}"
  done
}

# adopt PID: how to start it again first, whose it is last.
adopt() {
  local pid=$1 word user group groups=''
  local -r folder=$run/adopted
  local -a environment=() words=()
  process_stat "$pid" && local -r start=$START_TIME
  mkdir -p "$folder"
  read_command "$pid" || fail "$FAILED" "process $pid has just ended"
  { mapfile -d '' -t environment <"/proc/$pid/environ"; } 2>/dev/null || fail "$PERMISSION" "may not read the environment of process $pid"
  for word in "${!environment[@]}"; do
    [[ ${environment[word]} != TOWLINE_STEP=* ]] || unset "environment[$word]"
  done
  nul_file "$folder/command" "${COMMAND[@]}"
  nul_file "$folder/environment" ${environment[@]+"${environment[@]}"}
  owner_of "$pid"
  if [[ -n $REPLY ]]; then put "$folder/owner" <<<"$REPLY"; else remove_file "$folder/owner"; fi
  put "$folder/folder" < <(readlink "/proc/$pid/cwd")
  put "$folder/exe" < <(readlink "/proc/$pid/exe")
  while read -ra words; do
    case ${words[0]} in Uid:) user=${words[1]} ;; Gid:) group=${words[1]} ;; Groups:) groups=${words[*]:1} ;; esac
  done <"/proc/$pid/status"
  if ((user == UID)); then remove_file "$folder/account"; else put "$folder/account" <<<"$user $group $groups"; fi
  boot_id
  process_stat "$pid" && [[ $START_TIME == "$start" ]] || fail "$FAILED" "process $pid has just ended"
  put "$run/identity" <<<"boot_id=$REPLY"$'\n'"pid=$pid"$'\n'"start_time=$start"$'\n'adopted=1
}

# owner_of PID -> REPLY: the unit of the system's manager whose main process it is, where there is one
owner_of() {
  local line unit=''
  REPLY=''
  [[ $UID -eq 0 && -d /run/systemd/system ]] || return 0
  while IFS= read -r line; do
    [[ ! $line =~ ^(0:|1:name=systemd):/system\.slice/.*\.service$ ]] || unit=${line##*/}
  done <"/proc/$1/cgroup"
  [[ -n $unit && $unit != towline-* ]] || return 0
  [[ $(systemctl show --property=MainPID --value -- "$unit") != "$1" ]] || REPLY=$unit
}

# stop_owner: an adopted process that a unit keeps ends by that unit, or it would come back.
stop_owner() {
  local owner
  [[ -n ${IDENTITY[adopted]-} && -r $run/adopted/owner ]] || return 0
  read -r owner <"$run/adopted/owner"
  owner_of "${IDENTITY[pid]}"
  [[ $REPLY == "$owner" ]] || return 0
  systemctl stop -- "$owner" || fail "$FAILED" "$owner does not stop"
  did "stopped $owner"
}

# start_owner: the way it was, where that way is a unit; false where it is not.
start_owner() {
  local owner
  [[ -r $run/adopted/owner ]] || return 1
  read -r owner <"$run/adopted/owner"
  systemctl start -- "$owner" || fail "$FAILED" "$owner does not start"
  adopt "$(systemctl show --property=MainPID --value -- "$owner")"
}

# leave_adoption: after the first start of our own. The former way must not come back at the next boot.
leave_adoption() {
  local owner
  [[ -d $run/adopted ]] || return 0
  if [[ -r $run/adopted/owner ]]; then
    read -r owner <"$run/adopted/owner"
    systemctl disable --quiet -- "$owner"
    did "disabled $owner"
  fi
  remove_tree "$run/adopted"
}

# release: it is nobody's again, and runs on.
release() {
  [[ -d $run/adopted ]] || return 0
  call_off
  forget_unit
  remove_file "$run/identity"
  remove_tree "$run/adopted"
}

# is_the_same PID: started in the same way in the same folder, by its former owner perhaps
is_the_same() {
  local -a was=()
  mapfile -d '' -t was <"$run/adopted/command"
  [[ ${#was[@]} -eq ${#COMMAND[@]} && ${was[*]@Q} == "${COMMAND[*]@Q}" ]] || return 1
  [[ $(readlink "/proc/$1/cwd") == "$(<"$run/adopted/folder")" ]]
}

# start_adopted: the way it was; one that somebody else has started again in the meantime is adopted anew.
start_adopted() {
  if ! running; then
    candidates is_the_same
    if ((${#CANDIDATES[@]})); then
      adopt "${CANDIDATES[0]}"
    else
      start_owner || relaunch "$run/adopted" adopted=1
    fi
  fi
  to_seconds "${PARAM[start_timeout]:-$START_TIMEOUT_S}"
  wait_healthy "$REPLY"
}
