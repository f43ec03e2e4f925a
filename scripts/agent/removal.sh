# shellcheck shell=bash
# removal.sh: the commands uninstall, installall and uninstallall. The order of a removal lets it be cut off anywhere and
# run again: the agent's own folder, with this very script, goes last.

readonly STEP_PATIENCE_S=120

hand_uninstall() {
  cd /
  if nothing_is_here; then
    [[ ! -d $prefix ]] || rmdir -- "$prefix" 2>/dev/null || : # the last word of a removal that was cut off
    say "nothing to do: nothing of the agent is below $prefix"
    return 0
  fi
  ! strange_folders ||
    fail "$BAD_ARGUMENTS" "below $prefix there is no agent, and what is there under names of its own is somebody else's: $REPLY. Nothing was removed; is --prefix right?"
  take_lock 120 "waiting for another command that works on $prefix" || fail "$FAILED" "another command works on $prefix"
  known_mode
  stop_for_good
  keep_remove
  remove_outside
  remove_inside
  tell_what_stays
}

nothing_is_here() {
  local name folder
  local -r before=$mode
  for name in agent state etc steps bundles artifacts run log incoming; do [[ ! -e $prefix/$name ]] || return 1; done
  for mode in systemd user; do
    agent_unit_folder && folder=$REPLY
    for name in "$PULLER_UNIT" "$HEALING_UNIT" "$HEALING_TIMER"; do ! is_our_unit "$folder/$name" || { mode=$before && return 1; }; done
  done
  mode=$before
  ! cron_keeps
}

# stop_for_good: nobody starts the agent any more; a step that it had begun is waited for, not torn.
stop_for_good() {
  write_facts "$agent/stopped" "for uninstall at $(now_text)" || : # a full disk shall not keep it from being removed
  puller_stop || fail "$FAILED" 'the agent does not end'
  puller_runs || [[ -z $HOLDER ]] || fail "$FAILED" "towline-puller is at work (pid $HOLDER): try again when it has ended"
  wait_for "$STEP_PATIENCE_S" 'the step that runs' no_step_runs ||
    fail "$FAILED" "a step runs still ($REPLY): the agent is stopped; try uninstall again when the step has ended, or start the agent"
}

no_step_runs() { # else REPLY names it
  for REPLY in "$prefix"/steps/*/lock; do
    [[ -e $REPLY ]] || continue
    flock -n -s "$REPLY" true || return 1
  done
}

# remove_outside: what is ours and not below the prefix, each only where it is ours beyond doubt.
remove_outside() {
  local folder
  if [[ $(readlink -- /usr/local/bin/towline-puller 2>/dev/null) == "$agent/current/bin/towline-puller" ]]; then
    unlink /usr/local/bin/towline-puller
  fi
  folder=$(sed -n 's/^metrics_dir = "\(.*\)"$/\1/p' "$prefix/etc/puller.toml" 2>/dev/null) || folder=''
  for folder in "$folder" "$prefix/metrics"; do
    [[ $folder == /* && -f $folder/towline.prom ]] || continue
    unlink "$folder/towline.prom"
  done
  remove_made_folders
}

remove_made_folders() { # folders that keep_install had to make, as far as they are empty
  local folder made
  value_of unit_folder "$agent/made" || return 0
  folder=$REPLY
  value_of made "$agent/made" || return 0
  made=$REPLY
  rmdir -- "$folder"/*.wants 2>/dev/null || :
  while [[ $folder == "$made" || $folder == "$made"/* ]]; do
    rmdir -- "$folder" 2>/dev/null || return 0
    folder=${folder%/*}
  done
}

# remove_inside: everything of the agent's below the prefix. Services with their programs, and data, stay.
remove_inside() {
  local name lock folder='' above=''
  { read -r above <"$agent/made_above"; } 2>/dev/null || :
  for name in bundles artifacts steps run log incoming etc state; do remove_below "$name"; done
  [[ ! -d $prefix/metrics ]] || rmdir -- "$prefix/metrics" 2>/dev/null || :
  services_left
  if ((${#SERVICES[@]} == 0)); then
    remove_below packages
    for lock in "$prefix/.packages.lock" "$prefix/keeper"; do [[ ! -f $lock ]] || unlink "$lock"; done
  fi
  for lock in "$prefix"/services/.*.lock; do
    name=${lock##*/.} name=${name%.lock}
    [[ ! -f $lock || -d $prefix/services/$name ]] || unlink "$lock"
  done
  [[ ! -d $prefix/services ]] || rmdir -- "$prefix/services" 2>/dev/null || :
  remove_below agent lock # by which the next uninstall, should this one be cut off, knows that the rest is ours
  folder=$prefix
  while rmdir -- "$folder" 2>/dev/null; do
    folder=${folder%/*}
    [[ -n $above && ($folder == "$above" || $folder == "$above"/*) ]] || break
  done
}

# services_left: SERVICES are there with their programs; DATA are folders of services that were uninstalled.
declare -a SERVICES=() DATA=()
services_left() {
  local folder
  SERVICES=() DATA=()
  for folder in "$prefix"/services/[!.]*; do
    [[ -d $folder ]] || continue
    if [[ -L $folder/current || -d $folder/run ]]; then SERVICES+=("${folder##*/}"); else DATA+=("${folder##*/}"); fi
  done
}

tell_what_stays() {
  local -a rest
  say 'the agent is uninstalled'
  if ((${#SERVICES[@]})); then
    say "services stay as they are, running where they ran: ${SERVICES[*]} (below $prefix/services)"
    say 'to take them over again: install the agent below the same prefix; each service that its document names comes back under it as it runs; one is restarted where its program or configuration had to be changed'
  fi
  ((${#DATA[@]} == 0)) || say "data stays below $prefix/services: ${DATA[*]}"
  [[ -d $prefix ]] || return 0
  mapfile -t rest < <(find "$prefix" -mindepth 1 -maxdepth 1 ! -name services ! -name packages ! -name .packages.lock ! -name keeper -printf '%f\n')
  ((${#rest[@]} == 0)) || say "not ours, and left below $prefix: ${rest[*]}"
}

agent_program() { # -> REPLY
  release_of current || fail "$NOT_INSTALLED" "no agent is installed below $prefix"
  REPLY=$agent/current/bin/towline-puller
}

# hand_installall: the whole host as its document says. Ends as `towline-puller once` does.
hand_installall() {
  local program
  local -i code=0
  agent_program && program=$REPLY
  "$program" --prefix "$prefix" plan || code=$?
  case $code in
    0) say 'nothing to do: this host is as its document says' && return 0 ;;
    2) ;;
    *) fail "$FAILED" 'nothing could be planned: see above' ;;
  esac
  confirm 'Do this now? Type yes' yes || fail "$FAILED" 'nothing was done'
  code=0
  "$program" --prefix "$prefix" once || code=$?
  exit "$code"
}

# hand_uninstallall: everything that the document put here, in the order of the plan, then the agent.
hand_uninstallall() {
  local program host was_stopped=''
  local -a words=()
  agent_program && program=$REPLY
  need_agent
  host=$(sed -n 's/^host = "\(.*\)"$/\1/p' "$prefix/etc/puller.toml") || host=''
  [[ -n $host ]] || fail "$NOT_INSTALLED" "$prefix/etc/puller.toml names no host: is this host enrolled?"
  somebody_answers || fail "$FAILED" 'nothing was removed, and the agent was left alone'
  [[ -z ${OPTIONS['purge-data']-} ]] || words+=(--purge-data)
  [[ -z ${OPTIONS['allow-removals']-} ]] || words+=(--allow-removals "${OPTIONS['allow-removals']}")
  [[ ! -e $agent/stopped ]] || was_stopped=1
  write_facts "$agent/stopped" "for uninstallall at $(now_text)" || fail "$FAILED" "$agent cannot be written: is the disk full?"
  puller_stop || fail "$FAILED" 'the agent does not end'
  "$program" --prefix "$prefix" withdraw --plan ${words[@]+"${words[@]}"} || give_up 'nothing could be planned: see above'
  confirm "All of this goes. Type the name of this host ($host)" "$host" || give_up 'nothing was removed'
  "$program" --prefix "$prefix" withdraw ${words[@]+"${words[@]}"} ||
    fail "$FAILED" 'not everything could be removed: see above. The agent is stopped; run uninstallall again, or start the agent: it installs again what the document says'
  hand_uninstall
}

give_up() { # the agent runs again if it ran before
  if [[ -z $was_stopped ]]; then
    unlink "$agent/stopped"
    puller_start || note "the agent does not start: $(last_words_of_agent)"
  fi
  fail "$FAILED" "$1"
}

somebody_answers() { [[ -n ${OPTIONS[yes]-} || -t 0 ]] || { note 'nobody is there to ask: say --yes' && return 1; }; }

confirm() { # confirm QUESTION ANSWER: by --yes, or a person at the terminal
  local answer=''
  somebody_answers || return 1
  [[ -z ${OPTIONS[yes]-} ]] || return 0
  read -rp "$1: " answer || :
  [[ $answer == "$2" ]]
}
