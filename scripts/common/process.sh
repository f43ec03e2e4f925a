# shellcheck shell=bash
# process.sh: which process, beyond doubt. A pid is used again; boot id, pid and start time together are not.

boot_id() { read -r REPLY </proc/sys/kernel/random/boot_id; }

# process_stat PID: sets START_TIME (field 22), SESSION of a live process; false for a dead one or a zombie.
declare START_TIME='' SESSION=''
process_stat() {
  local text=''
  local -a fields
  # -d would read byte by byte; the name in parentheses may hold anything
  { IFS= read -r -N 4096 text <"/proc/$1/stat"; } 2>/dev/null || [[ -n $text ]] || return 1
  read -ra fields <<<"${text##*) }"
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

# listening_ports PID: sets LISTENING (ports that the process listens on), EXE.
declare -a LISTENING=()
declare EXE=''
listening_ports() {
  local line links='' inode port
  local -a inodes=()
  local -A port_of=() seen=() # port_of: by the inode of each socket that the process has open; empty: it does not listen there
  LISTENING=() EXE=''
  read_links "$1" || links=$(LC_ALL=C exec find "/proc/$1/exe" "/proc/$1/fd" -maxdepth 1 \( -name exe -o -lname 'socket:*' \) -printf '%f %l\n' 2>/dev/null) || :
  while [[ -n $links ]]; do
    line=${links%%$'\n'*} links=${links#"$line"} links=${links#$'\n'}
    if [[ $line == exe\ * ]]; then
      EXE=${line#exe }
    else
      inode=${line#* } inode=${inode//[!0-9]/}
      inodes+=("$inode") port_of[$inode]=''
    fi
  done
  local -i unknown=${#port_of[@]}
  listening_sockets /proc/net/tcp /proc/net/sockstat 'TCP:'
  listening_sockets /proc/net/tcp6 /proc/net/sockstat6 'TCP6:'
  for inode in ${inodes[@]+"${inodes[@]}"}; do
    port=${port_of[$inode]}
    [[ -n $port && -z ${seen[$port]-} ]] || continue
    seen[$port]=1
    LISTENING+=("$port")
  done
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

# read_links PID: sets links of listening_ports, without a process: what the kernel tells of open files has the inode since
# Linux 5.14, and the first file that is mapped is the program. False where it is not so, or where there are many open files.
read_links() {
  local file word='' inode='' path=''
  local -i most=40
  while read -r word inode; do [[ $word != FDSize: ]] || break; done <"/proc/$1/status" || return 1
  [[ $word == FDSize: ]] && ((inode <= 256)) || return 1
  while read -r _ _ _ _ _ path; do [[ $path != /* ]] || break; done <"/proc/$1/maps" || return 1
  [[ $path == /* && "/proc/$1/exe" -ef $path ]] || return 1
  links="exe $path"
  for file in "/proc/$1/fd/"*; do
    [[ -S $file ]] || continue
    word=''
    while read -r word inode; do [[ $word != ino: ]] || break; done <"/proc/$1/fdinfo/${file##*/}" || continue
    [[ $word == ino: ]] && ((most-- > 0)) || return 1
    links+=$'\n'"${file##*/} $inode"
  done
} 2>/dev/null # any of these may be gone meanwhile

# listening_sockets TABLE COUNTS NAME: fills port_of, and counts down unknown; with all known there is nothing left to read. The
# tables of the kernel begin with the listening sockets. Read in small parts that fit its lines about, and no further than to as many as COUNTS says there are:
# to find out that there are no more, or to fill a larger part, the kernel looks through all connections, which takes it a
# millisecond.
listening_sockets() {
  local part='' text=''
  local -i most=0 met=0
  local -a fields
  ((unknown)) && [[ -r $1 ]] || return 0
  sockets_in_use "$2" "$3" && ((REPLY > 0)) || return 0
  most=$REPLY
  while IFS= read -r -N 150 part || [[ -n $part ]]; do
    text+=$part
    while [[ $text == *$'\n'* ]]; do
      # shellcheck disable=SC2206 # a line of the kernel's, split at blanks
      fields=(${text%%$'\n'*}) text=${text#*$'\n'}
      # A line may be cut: the table changes while it is read.
      [[ ${#fields[@]} -ge 10 && "${fields[0]}${fields[1]}" =~ ^[0-9]+:[0-9A-F]+:[0-9A-F]{4}$ ]] || continue
      [[ ${fields[3]} == 0A ]] || return 0
      met+=1
      [[ -n ${port_of[${fields[9]}]+open} ]] || continue
      port_of[${fields[9]}]=$((16#${fields[1]##*:}))
      unknown=$((unknown - 1)) # not in ((...)): zero is no failure
      ((unknown)) || return 0
    done
    if ((met >= most)); then
      sockets_in_use "$2" "$3" && ((met < REPLY)) || return 0 # asked again: one may have come meanwhile
      most=$REPLY
    fi
  done <"$1"
}

sockets_in_use() { # sockets_in_use COUNTS NAME -> REPLY: how many of that family; where the kernel does not say, any number
  local name number
  REPLY=1000000
  [[ -r $1 ]] || return 0
  while read -r name _ number _; do
    [[ $name != "$2" ]] || { REPLY=$number && return 0; }
  done <"$1"
}

listens() { # listens PORT: after listening_ports
  local port
  for port in ${LISTENING[@]+"${LISTENING[@]}"}; do [[ $port != "$1" ]] || return 0; done
  return 1
}
