# shellcheck shell=bash
# cron.sh: the agent kept by cron: a file in /etc/cron.d for /opt/towline as root, else lines of the user's own crontab
# between two marks. And an agent in a session of its own, for wherever no systemd keeps it.

readonly CRON_FILE=/etc/cron.d/towline
readonly AGENT_LOG_MAX_BYTES=$((10 * 1024 * 1024)) AGENT_LOG_KEEP=3

# cron_can_keep: there is a place for our line, and a daemon that reads it. False, and REPLY says what is missing.
cron_can_keep() {
  if uses_cron_file; then
    [[ -d /etc/cron.d ]] || { REPLY='neither systemd nor cron is here to keep the agent alive: install cron' && return 1; }
  else
    command -v crontab >/dev/null || { REPLY='the agent would be kept alive by cron, and there is no command crontab: install cron' && return 1; }
    crontab_now || { REPLY="the agent would be kept alive by cron, and the crontab of $(id -un) cannot be read: $REPLY" && return 1; }
  fi
  cron_runs || { REPLY='the agent would be kept alive by cron, and no cron daemon runs: start it, and let it start at boot' && return 1; }
}

cron_runs() {
  local file name
  for file in /proc/[0-9]*/comm; do
    { read -r name <"$file"; } 2>/dev/null || continue
    case $name in cron | crond | fcron | dcron) return 0 ;; esac
  done
  return 1
}

uses_cron_file() { ((EUID == 0)) && [[ $prefix == "$DEFAULT_PREFIX" ]]; }

cron_command() { # for cron a percent sign is a line end
  local word
  word=$(sh_word "$agent/self_healing")
  printf '/bin/sh %s >/dev/null 2>&1' "${word//%/\\%}"
}

cron_install() {
  if uses_cron_file; then
    put "$CRON_FILE" 0644 < <(printf '%s\n' '# Written by agentctl.sh: looks after the towline puller.' "* * * * * root $(cron_command)")
  else
    change_crontab cron_lines
  fi
}

cron_keeps() { # our line is there
  if uses_cron_file; then
    [[ -e $CRON_FILE ]]
  else
    command -v crontab >/dev/null && crontab_now && [[ $REPLY == *"# towline $prefix: begin"* ]]
  fi
}

cron_remove() {
  if uses_cron_file; then
    [[ ! -e $CRON_FILE ]] || unlink "$CRON_FILE"
  elif cron_keeps; then
    change_crontab :
  fi
}

cron_lines() { printf '%s\n' "# towline $prefix: begin (written by agentctl.sh)" "* * * * * $(cron_command)" "# towline $prefix: end"; }

# change_crontab COMMAND: our lines become what the command prints; every other line stays as it is, byte for byte.
change_crontab() {
  local old ours
  crontab_now || fail "$FAILED" "the crontab of $(id -un) cannot be read: $REPLY"
  old=$REPLY ours=$("$1")
  other_lines "$old"
  [[ -z $ours ]] || REPLY+=$ours$'\n'
  [[ $REPLY != "$old" ]] || return 0
  if [[ -n $REPLY ]]; then
    printf '%s' "$REPLY" | crontab - || fail "$FAILED" "the crontab of $(id -un) cannot be written"
  else
    crontab -r || fail "$FAILED" "the crontab of $(id -un) cannot be removed"
  fi
  CHANGED=1
}

# crontab_now -> REPLY: its text, empty where there is none. False, and the words, where there is one that cannot be read:
# nobody's lines shall be lost.
crontab_now() {
  local said
  if said=$(crontab -l 2>&1 && printf x); then
    REPLY=${said%x}
  elif [[ $said == *'no crontab'* || $said == *'No such file'* ]]; then
    REPLY=''
  else
    REPLY=${said:-crontab fails} && return 1
  fi
}

other_lines() { # other_lines TEXT -> REPLY
  local line ours='' text=''
  while IFS= read -r line || [[ -n $line ]]; do
    [[ $line != "# towline $prefix: begin"* ]] || ours=1
    [[ -n $ours ]] || text+=$line$'\n'
    [[ $line != "# towline $prefix: end" ]] || ours=''
  done < <(printf '%s' "$1")
  REPLY=$text
}

# start_alone: the agent in a session of its own, with nothing of the caller's environment. STARTED is its pid.
STARTED=''
start_alone() {
  local log=$prefix/log/puller.log
  local -a environ=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "HOME=${HOME:-/}")
  proxy_environment
  mkdir -p "$prefix/log" 2>/dev/null || :
  { : >>"$log"; } 2>/dev/null || log=/dev/null # a full disk shall not keep it from running
  (cd / && exec env -i "${environ[@]}" setsid "$agent/current/bin/towline-puller" --prefix "$prefix" run --unless-running \
    </dev/null >>"$log" 2>&1 7>&- 8>&- 9>&-) &
  STARTED=$!
}

has_started_or_died() { puller_runs || ! start_time_of "$STARTED"; }

proxy_environment() { # adds to environ what etc/proxy.env says, as systemd reads it; nothing in it is code
  local line name value
  [[ -r $prefix/etc/proxy.env ]] || return 0
  while IFS= read -r line; do
    name=${line%%=*} value=${line#*=}
    [[ $name =~ ^[A-Za-z_]+_(proxy|PROXY)$ && $line == *=* ]] || continue
    if [[ $value == \"*\" ]]; then
      value=${value:1:-1} value=${value//\\\"/\"} value=${value//\\\\/\\}
    elif [[ $value == \'*\' ]]; then
      value=${value:1:-1}
    fi
    environ+=("$name=$value")
  done <"$prefix/etc/proxy.env"
}

# end_alone: TERM, patience, and only then KILL; each time to a process that was proven right before.
end_alone() {
  local pid start said=''
  local -i began=SECONDS
  puller_runs || return 0
  pid=$PULLER_PID start=$PULLER_START
  signal_process "$pid" "$start" TERM
  while start_time_of "$pid" && [[ $REPLY == "$start" ]]; do
    ((SECONDS - began < stop_patience_s)) || break
    [[ -n $said ]] || ((SECONDS - began < 5)) || { said=1 && note "waiting up to $stop_patience_s s for the agent (pid $pid) to end"; }
    sleep 0.2
  done
  if start_time_of "$pid" && [[ $REPLY == "$start" ]]; then
    note "the agent (pid $pid) did not end within its time: killed"
    signal_process "$pid" "$start" KILL
    sleep 0.5
    ! { start_time_of "$pid" && [[ $REPLY == "$start" ]]; } || return 1
  fi
}

signal_process() { # signal_process PID START_TIME NAME
  ! { start_time_of "$1" && [[ $REPLY == "$2" ]]; } || kill -s "$3" "$1" 2>/dev/null || :
}

# turn_log: log/puller.log is written by the agent itself, so it is copied away and emptied in place.
turn_log() {
  local -r log=$prefix/log/puller.log
  local -i turn size
  [[ -f $log && ! -L $log ]] || return 0
  size=$(stat -c %s "$log")
  ((size >= AGENT_LOG_MAX_BYTES)) || return 0
  for ((turn = AGENT_LOG_KEEP - 1; turn > 0; turn--)); do
    [[ ! -e $log.$turn ]] || mv -fT "$log.$turn" "$log.$((turn + 1))"
  done
  cp -f -- "$log" "$log.1" 2>/dev/null || unlink "$log.1" 2>/dev/null || : # no room: the old lines are given up
  : >"$log"
}
