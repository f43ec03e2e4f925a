#!/usr/bin/env bash
# launcher.sh: becomes a service's process. Started by keep.sh alone or by a systemd unit; a copy stands in run/.
#
#   become plain SERVICE_FOLDER LAUNCH_FOLDER TICKET takes the described form and execs; writes run/identity first. Where the
#                                                    ticket is no longer the newest, a later call has called it off: does nothing
#   become unit SERVICE_FOLDER LAUNCH_FOLDER         the same for systemd, which sees to it that there is one at a time
#   record SERVICE_FOLDER LAUNCH_FOLDER              writes run/identity of $MAINPID (ExecStartPost= of the unit)
#   write_log FILE MAX_BYTES KEEP                    standard input to FILE, turned over at MAX_BYTES
#
# A launch folder describes a process: command and environment (NUL-separated), folder (working directory), facts
# (key=value lines that identity repeats), log (MAX_BYTES KEEP), and of an adopted process: exe, and where root
# starts it for somebody else account (uid gid groups). Nothing in it is ever read as code.
set -Eeuo pipefail
umask 077

identity_lives() { # FILE
  local key value pid='' start='' boot='' stat=''
  local -a fields
  [[ -r $1 ]] || return 1
  while IFS='=' read -r key value; do
    case $key in pid) pid=$value ;; start_time) start=$value ;; boot_id) boot=$value ;; esac
  done <"$1"
  [[ -n $pid && $boot == "$(</proc/sys/kernel/random/boot_id)" ]] || return 1
  { IFS= read -r -d '' stat <"/proc/$pid/stat"; } 2>/dev/null || [[ -n $stat ]] || return 1
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != [ZX] && ${fields[19]} == "$start" ]]
}

write_identity() { # SERVICE_FOLDER LAUNCH_FOLDER PID
  local stat=''
  local -a fields
  IFS= read -r -d '' stat <"/proc/$3/stat" || :
  read -ra fields <<<"${stat##*) }"
  {
    printf 'boot_id=%s\npid=%s\nstart_time=%s\n' "$(</proc/sys/kernel/random/boot_id)" "$3" "${fields[19]}"
    cat "$2/facts"
  } >"$1/run/identity.$$"
  mv -fT "$1/run/identity.$$" "$1/run/identity"
}

# has_turn SERVICE_FOLDER TICKET: takes the lock, LOCK, and keeps it: until run/identity is written nobody else looks whether
# something runs. False where a later call holds another ticket, or has removed it all, or another start was first.
declare LOCK=''
has_turn() {
  local newest=''
  { exec {LOCK}<"$1/run/launch.lock"; } 2>/dev/null || return 1
  flock -w 20 "$LOCK" || { echo "another start of ${1##*/} holds its lock and does not end" >&2 && exit 1; }
  read -r newest <&"$LOCK" || :
  [[ -n $newest && $newest == "$2" ]] && ! identity_lives "$1/run/identity"
}

become() { # plain|unit SERVICE_FOLDER LAUNCH_FOLDER [TICKET]
  local how=$1 service=$2 launch=$3 fd name pair max keep uid gid groups
  local -a command environ odd=()
  for fd in "/proc/$$/fd"/*; do # nothing of the caller stays open
    fd=${fd##*/}
    if ((fd > 2 && fd != 255)); then exec {fd}>&-; fi
  done
  [[ $how != plain ]] || has_turn "$service" "${4-}" || exit 0
  mapfile -d '' -t command <"$launch/command"
  mapfile -d '' -t environ <"$launch/environment"
  read -r max keep <"$launch/log"
  if [[ $how == plain ]]; then
    write_identity "$service" "$launch" "$$"
    exec {LOCK}<&-
  fi
  name=${service##*/}
  exec </dev/null > >(exec bash "${BASH_SOURCE[0]}" write_log "$service/log/$name.log" "$max" "$keep") 2>&1
  wait "$!" # write_log has left by a fork: the service gets no child that it does not know
  cd "$(<"$launch/folder")"
  while IFS= read -r name; do unset "$name" 2>/dev/null || :; done < <(compgen -e)
  for pair in ${environ[@]+"${environ[@]}"}; do
    if [[ $pair =~ ^SHLVL=([0-9]{1,3})$ ]]; then pair=SHLVL=$((BASH_REMATCH[1] + 1)); fi # exec takes one off
    if [[ ${pair%%=*} =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]]; then
      export "${pair?}" 2>/dev/null || odd+=("$pair") # bash keeps some names to itself (UID)
    else
      odd+=("$pair")
    fi
  done
  if ((${#odd[@]})); then command=(/usr/bin/env -- "${odd[@]}" "${command[@]}"); fi
  if ((UID == 0)) && [[ -r $launch/account ]]; then
    read -r uid gid groups <"$launch/account"
    if [[ -n $groups ]]; then groups=--groups=${groups// /,}; else groups=--clear-groups; fi
    if [[ -r $launch/exe ]]; then command[0]=$(<"$launch/exe"); fi
    command=(/usr/bin/setpriv "--reuid=$uid" "--regid=$gid" "$groups" -- "${command[@]}")
  elif [[ -r $launch/exe ]] && ((${#odd[@]} == 0)); then
    exec -a "${command[0]}" "$(<"$launch/exe")" "${command[@]:1}"
  fi
  exec "${command[@]}"
}

write_log() { # FILE MAX_BYTES KEEP
  local file=$1 max=$2 keep=$3 turn
  local -i size
  while :; do
    size=$(stat -c %s "$file" 2>/dev/null || echo 0)
    if ((size >= max)); then
      for ((turn = keep - 1; turn > 0; turn--)); do
        [[ ! -e $file.$turn ]] || mv -fT "$file.$turn" "$file.$((turn + 1))"
      done
      mv -fT "$file" "$file.1"
      size=0
    fi
    stdbuf -o0 head -c "$((max - size))" >>"$file"
    (($(stat -c %s "$file") >= max)) || break # head stopped early: the service closed its end
  done
}

case ${1-} in
  become | record) ;;
  write_log)
    (trap '' HUP INT && write_log "$2" "$3" "$4") <&0 & # said, because bash gives such a one /dev/null
    exit 0
    ;;
  *) exit 2 ;;
esac
if [[ $1 == record ]]; then write_identity "$2" "$3" "$MAINPID"; else become "$2" "$3" "$4" "${5-}"; fi
