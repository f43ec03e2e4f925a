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

# listening_ports PID: sets LISTENING (ports that the process listens on), EXE. One process for both.
declare -a LISTENING=()
declare EXE=''
listening_ports() {
  local line links
  local -A port_of=() seen=()
  LISTENING=() EXE=''
  listening_sockets /proc/net/tcp
  ! any_on_ipv6 || listening_sockets /proc/net/tcp6
  links=$(exec find "/proc/$1/exe" "/proc/$1/fd" -maxdepth 1 \( -name exe -o -lname 'socket:*' \) -printf '%f %l\n' 2>/dev/null) || :
  local IFS=$'\n'
  set -f # split at line ends alone
  for line in $links; do
    if [[ $line == exe\ * ]]; then
      EXE=${line#exe }
    elif line=${line//[!0-9 ]/} && line=${port_of[${line#* }]-} && [[ -n $line && -z ${seen[$line]-} ]]; then
      seen[$line]=1
      LISTENING+=("$line")
    fi
  done
  set +f
  [[ ${CHILD_LISTENS-} != true || ${#LISTENING[@]} -gt 0 ]] || children_listen "$1"
}

# children_listen PID: where a kind says CHILD_LISTENS=true, a process that only waits for another one listens through it.
children_listen() {
  local file children child exe=$EXE IFS=$' \t\n'
  for file in "/proc/$1/task/"*/children; do
    children=''
    { read -rd '' children <"$file"; } 2>/dev/null || : # a thread may be gone meanwhile
    while [[ $children =~ ^\ *([0-9]+)(.*)$ ]]; do
      child=${BASH_REMATCH[1]} children=${BASH_REMATCH[2]}
      listening_ports "$child"
      ((${#LISTENING[@]} == 0)) || break 2
    done
  done
  EXE=$exe
}

# listening_sockets TABLE: adds to port_of: the port, by the socket's inode. The tables of the kernel begin with the
# listening sockets. Read in small parts that fit its lines about, because the kernel looks through all connections
# that there are, which takes it a millisecond, to fill a larger one.
listening_sockets() {
  local part='' text=''
  local -a fields
  while IFS= read -r -N 150 part || [[ -n $part ]]; do
    text+=$part
    while [[ $text == *$'\n'* ]]; do
      # shellcheck disable=SC2206 # a line of the kernel's, split at blanks
      fields=(${text%%$'\n'*}) text=${text#*$'\n'}
      # A line may be cut: the table changes while it is read.
      [[ ${#fields[@]} -ge 10 && "${fields[0]}${fields[1]}" =~ ^[0-9]+:[0-9A-F]+:[0-9A-F]{4}$ ]] || continue
      [[ ${fields[3]} == 0A ]] || return 0
      port_of[${fields[9]}]=$((16#${fields[1]##*:}))
    done
  done <"$1"
}

any_on_ipv6() { # else the kernel looks through all connections to find out that there are none
  local line
  [[ -r /proc/net/tcp6 ]] || return 1
  [[ -r /proc/net/sockstat6 ]] || return 0
  read -r line </proc/net/sockstat6
  [[ $line != 'TCP6: inuse 0' ]]
}

listens() { # listens PORT: after listening_ports
  local port
  for port in ${LISTENING[@]+"${LISTENING[@]}"}; do [[ $port != "$1" ]] || return 0; done
  return 1
}
