# shellcheck shell=bash
# healing.sh: the commands start, stop, restart, and self_healing, which may run every minute for ever, at any moment and
# twice at once: the second one ends in silence.

readonly NOT_SERVING_S=180 # so long an agent may run without serving before it is started anew

# hand_self_healing: puts right what is wrong with the agent. Whatever cannot be done now (a full disk, a prefix that
# cannot be written) is said, and is no reason to leave out the rest.
hand_self_healing() {
  [[ -d $agent ]] || return 0
  try_lock || return 0
  [[ ! -e $agent/stopped ]] || return 0
  known_mode
  turn_log 2>/dev/null || :
  mend_links || return 0
  units_again || :
  ask_alive
  judge_trial || :
  decide_refusals || :
  keep_alive || :
}

# try_lock: the lock of the prefix now, or not at all. Works where nothing can be written.
try_lock() {
  { exec 7>>"$agent/lock"; } 2>/dev/null || { exec 7<"$agent/lock"; } 2>/dev/null || exec 7<"$agent"
  flock -n 7
}

# healed TEXT: the one line about what was done. systemd takes it from standard output; else it goes into the log, too.
healed() {
  say "self_healing: $*"
  [[ $mode != cron ]] || { printf '%s self_healing: %s\n' "$(now_text)" "$*" >>"$prefix/log/puller.log"; } 2>/dev/null || :
}

now_text() { TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' -1; }

# mend_links: current and good lead to releases that are there; false when there is none at all.
mend_links() {
  local folder id=''
  if ! release_of current; then
    if release_of good; then
      id=$REPLY
    else
      for folder in "$agent"/releases/[!.]*; do [[ ! -x $folder/bin/towline-puller || ! -f $folder/release ]] || id=${folder##*/}; done
    fi
    [[ -n $id ]] || { healed "no release is left below $agent/releases: run the command of towline host invite again" && return 1; }
    ! switch_surely current "$id" || healed "current led nowhere: it leads to $id"
  fi
  if ! release_of good && [[ ! -e $agent/trial ]] && release_of current; then
    id=$REPLY
    ! switch_surely good "$id" || healed "good led nowhere: it leads to $id"
  fi
}

switch_surely() { # switch_surely LINK ID: false where it could not be written
  [[ -f $agent/releases/$2/release ]] || return 1
  switch_release "$1" "$2" 2>/dev/null || :
  release_of "$1" && [[ $REPLY == "$2" ]]
}

# write_facts FILE KEY=VALUE...: whole and durable, or not at all; false where there is no room.
write_facts() {
  local -r file=$1
  if mkdir -p "${file%/*}" && printf '%s\n' "${@:2}" >"$file.new" && sync "$file.new" && mv -fT "$file.new" "$file"; then
    return 0
  fi 2>/dev/null
  unlink "$file.new" 2>/dev/null || :
  return 1
}

# keep_alive: one of the three states of ALIVE, and what to do about it.
keep_alive() {
  local state=${ALIVE[state]}
  if [[ -n $PULLER_RELEASE ]] && release_of current && [[ $PULLER_RELEASE != "$REPLY" ]]; then
    healed "release $PULLER_RELEASE runs, $REPLY is due: restarting"
    puller_restart || healed "the agent does not start: $(last_words_of_agent)"
    return
  fi
  case $state in
    not-running) start_again ;;
    not-serving) wait_or_restart ;;
    serving) [[ ! -e $agent/not_serving ]] || unlink "$agent/not_serving" ;;
  esac
}

start_again() {
  local due whole
  release_of current && due=$REPLY
  if [[ ! -e $agent/trial ]] && ! release_is_whole "$due" && whole=$(a_whole_release) && switch_surely current "$whole"; then
    healed "the release $due is damaged: back to $whole"
    due=$whole
  fi
  if puller_start; then
    healed "the agent did not run: started ($due)"
  else
    healed "the agent does not start: $(last_words_of_agent)"
  fi
}

a_whole_release() { # prints one, the one that proved itself first
  local folder
  ! release_of good || ! release_is_whole "$REPLY" || { printf '%s' "$REPLY" && return 0; }
  for folder in "$agent"/releases/[!.]*; do
    [[ -e $agent/refused/${folder##*/} ]] || ! release_is_whole "${folder##*/}" || { printf '%s' "${folder##*/}" && return 0; }
  done
  return 1
}

# wait_or_restart: an agent that runs and does not serve gets three minutes of the same process and the same boot.
wait_or_restart() {
  local boot since
  this_boot && boot=$REPLY
  uptime_s
  local -r now=$REPLY
  if value_of process "$agent/not_serving" && [[ $REPLY == "$boot $PULLER_PID $PULLER_START" ]] && value_of since "$agent/not_serving"; then
    since=$REPLY
    ((now - since >= NOT_SERVING_S)) || return 0
    healed "the agent (pid $PULLER_PID) has not served for $((now - since)) s: restarting"
    puller_restart || healed "the agent does not start: $(last_words_of_agent)"
    unlink "$agent/not_serving" || :
  elif [[ -n $PULLER_PID ]]; then
    write_facts "$agent/not_serving" "process=$boot $PULLER_PID $PULLER_START" "since=$now" || :
  fi
}

# puller_start, puller_stop, puller_restart: whoever keeps it. Each waits until it is so, within bounds.
puller_start() {
  case $mode in
    systemd | user)
      agent_manager reset-failed "$PULLER_UNIT" 2>/dev/null || :
      agent_manager start "$PULLER_UNIT"
      ;;
    *)
      start_alone
      wait_quietly 20 has_started_or_died && puller_runs
      ;;
  esac
}

puller_stop() {
  case $mode in
    systemd | user) unit_is_unknown || agent_manager stop "$PULLER_UNIT" || return 1 ;;
  esac
  end_alone
}

unit_is_unknown() { # after an install that ended before its unit was there, or where somebody has removed it
  local said
  said=$(agent_manager show -p LoadState -p ActiveState "$PULLER_UNIT" 2>/dev/null) || return 1
  [[ $said == *LoadState=not-found* && $said == *ActiveState=inactive* ]]
}

puller_restart() {
  puller_stop || return 1
  puller_start
}

wait_quietly() { # wait_quietly SECONDS COMMAND...
  local -i end=SECONDS+$1
  until "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

last_words_of_agent() { # the end of what it said itself
  local text=''
  case $mode in
    systemd) text=$(words_of_last_start) || : ;;
    user) text=$(journalctl --user --quiet --no-pager -o cat -n 6 "_SYSTEMD_USER_UNIT=$PULLER_UNIT" 2>/dev/null) || : ;;
    *) text=$(tail -n 6 "$prefix/log/puller.log" 2>/dev/null) || : ;;
  esac
  text=$(uniq <<<"$text") # one that ends at its start says the same each time
  text=${text//[^[:print:]]/ }
  [[ ${#text} -le 300 ]] || text=${text: -300}
  printf '%s' "${text:-it said nothing}"
}

# words_of_last_start: not those of the release that ran before. One that is started again and again, and has just now
# said nothing yet: those of the last half minute.
words_of_last_start() {
  local id again text=''
  local -ra journal=(journalctl --quiet --no-pager -o cat -n 6)
  id=$(agent_manager show --value -p InvocationID "$PULLER_UNIT" 2>/dev/null) || id=''
  again=$(agent_manager show --value -p NRestarts "$PULLER_UNIT" 2>/dev/null) || again=''
  [[ ! $id =~ ^[0-9a-f]{32}$ ]] || text=$("${journal[@]}" "_SYSTEMD_INVOCATION_ID=$id" 2>/dev/null) || :
  if [[ $text != *[!$'\n']* && $again =~ ^[1-9] ]]; then
    text=$("${journal[@]}" --since=-30s "_SYSTEMD_UNIT=$PULLER_UNIT" 2>/dev/null) || :
  fi
  printf '%s' "$text"
}

# need_agent: for commands that make no sense without one.
need_agent() {
  [[ -d $agent/releases ]] || fail "$NOT_INSTALLED" "no agent is installed below $prefix"
  take_lock 120 "waiting for another command that works on $prefix" || fail "$FAILED" "another command works on $prefix"
  known_mode
}

need_finished_install() {
  [[ -e $agent/installed ]] || is_enrolled ||
    fail "$NOT_INSTALLED" "the install below $prefix was not finished: paste the command of towline host invite again, or take away what is there: agentctl.sh uninstall"
}

hand_start() {
  need_agent
  need_finished_install
  [[ ! -e $agent/stopped ]] || unlink "$agent/stopped"
  mend_links || exit "$NOT_INSTALLED"
  keep_again
  puller_runs || puller_start || fail "$FAILED" "the agent does not start: $(last_words_of_agent)"
  end_command
}

hand_stop() {
  need_agent
  write_facts "$agent/stopped" "by ${SUDO_USER:-$(id -un)} at $(now_text)" ||
    fail "$FAILED" "$agent cannot be written: the agent would be started again within a minute; is the disk full?"
  puller_stop || fail "$FAILED" 'the agent does not end'
  say 'the agent is stopped, until: agentctl.sh start. Services keep running'
}

hand_restart() {
  need_agent
  need_finished_install
  [[ ! -e $agent/stopped ]] || unlink "$agent/stopped"
  mend_links || exit "$NOT_INSTALLED"
  keep_again
  puller_restart || fail "$FAILED" "the agent does not start: $(last_words_of_agent)"
  end_command
}

end_command() {
  wait_serving 60 || fail "$FAILED" "the agent does not serve: $REPLY"
  say "$(told_state)"
}
