# shellcheck shell=bash
# process.sh: which process, beyond doubt. A pid is used again; boot id, pid and start time together are not.

boot_id() { read -r REPLY </proc/sys/kernel/random/boot_id; }

# process_stat PID: sets START_TIME (field 22), SESSION of a live process; false for a dead one or a zombie.
declare START_TIME='' SESSION=''
process_stat() {
  local text=''
  local -a fields
  { IFS= read -r -d '' text <"/proc/$1/stat"; } 2>/dev/null || [[ -n $text ]] || return 1
  read -ra fields <<<"${text##*) }" # the name in parentheses may hold anything
  [[ ${fields[0]} != [ZX] ]] || return 1
  SESSION=${fields[3]} START_TIME=${fields[19]}
}

# The identity of the service's process, from run/identity: pid, start_time, boot_id; what it was started as: version,
# config; and unit or adopted.
declare -A IDENTITY=()
read_identity() {
  local key value
  IDENTITY=()
  [[ -r $run/identity ]] || return 1
  while IFS='=' read -r key value; do IDENTITY[$key]=$value; done <"$run/identity"
  [[ ${IDENTITY[pid]-} =~ ^[1-9][0-9]*$ && ${IDENTITY[start_time]-} =~ ^[1-9][0-9]*$ && -n ${IDENTITY[boot_id]-} ]]
}

# alive: whether the process of IDENTITY is still that process. Looks at nothing but /proc.
alive() {
  [[ -n ${IDENTITY[pid]-} ]] || return 1
  boot_id
  [[ ${IDENTITY[boot_id]} == "$REPLY" ]] && process_stat "${IDENTITY[pid]}" && [[ $START_TIME == "${IDENTITY[start_time]}" ]]
}

gone() { ! alive; }

running() { read_identity && alive; }

# signal NAME: to the service's process, proven to be it right before.
signal() { ! alive || kill -s "$1" "${IDENTITY[pid]}" 2>/dev/null || :; }

# end_process: TERM, then wait, then KILL. SECONDS of patience as argument.
end_process() {
  alive || return 0
  signal TERM
  deadline "$1" 20
  if ! wait_until gone; then
    log "process ${IDENTITY[pid]} did not end within its time: killed"
    signal KILL
    deadline 15 # a large one on a busy disk takes its time to die
    wait_until gone || fail "$FAILED" "process ${IDENTITY[pid]} does not end"
  fi
  did "process ${IDENTITY[pid]} has ended"
}

# end_leftovers SIGNAL: true when none is left. Children that outlived their service (an nginx worker without its
# master) get the signal. Proven ours: in the session that the service led, which no one else leads now, in this boot, and not older than it.
end_leftovers() {
  local entry pid
  local -a left=()
  [[ -n ${IDENTITY[pid]-} && -z ${IDENTITY[adopted]-} ]] || return 0
  boot_id
  if [[ ${IDENTITY[boot_id]} != "$REPLY" ]] || process_stat "${IDENTITY[pid]}"; then return 0; fi
  for entry in /proc/[0-9]*; do
    pid=${entry##*/}
    if process_stat "$pid" && [[ $SESSION == "${IDENTITY[pid]}" ]] && ((START_TIME >= IDENTITY[start_time])); then
      left+=("$pid:$START_TIME")
    fi
  done
  for entry in ${left[@]+"${left[@]}"}; do
    ! process_stat "${entry%:*}" || [[ $START_TIME != "${entry#*:}" ]] || kill -s "$1" "${entry%:*}" 2>/dev/null || :
  done
  ((${#left[@]} == 0))
}

# listening_ports PID: sets LISTENING (ports that the process listens on), EXE. One process for both; the tables of
# the kernel begin with the listening sockets, so nothing else is read.
declare -a LISTENING=()
declare EXE=''
listening_ports() {
  local table line name target
  local -A port_of=() seen=()
  local -a fields
  LISTENING=() EXE=''
  for table in /proc/net/tcp /proc/net/tcp6; do
    [[ -r $table ]] || continue
    while read -ra fields; do
      [[ ${fields[0]} != sl ]] || continue
      [[ ${fields[3]} == 0A ]] || break
      port_of[${fields[9]}]=$((16#${fields[1]##*:}))
    done <"$table"
  done
  while IFS= read -r line; do
    name=${line%% *} target=${line#* }
    if [[ $name == exe ]]; then
      EXE=$target
    elif [[ $target == socket:* ]] && target=${target//[!0-9]/} && [[ -n ${port_of[$target]-} && -z ${seen[${port_of[$target]}]-} ]]; then
      seen[${port_of[$target]}]=1
      LISTENING+=("${port_of[$target]}")
    fi
  done < <(exec find "/proc/$1/exe" "/proc/$1/fd" -maxdepth 1 -type l -printf '%f %l\n' 2>/dev/null)
}

listens() { # listens PORT: after listening_ports
  local port
  for port in ${LISTENING[@]+"${LISTENING[@]}"}; do [[ $port != "$1" ]] || return 0; done
  return 1
}
