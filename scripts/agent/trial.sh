# shellcheck shell=bash
# trial.sh: a new release proves itself within its time, or the old one is back and the new one is refused.
#
# The files are the whole state, each written whole, in an order that may be cut off anywhere:
#   on trial   trial is written, current leads to the new release, the agent is restarted
#   undone     refused/<id> is written, current leads back, trial goes, the agent is restarted
#   proven     good leads to the new release, trial goes
# Whatever was cut off is brought to its end by the next self_healing, which is the old release's own script.

# begin_trial RELEASE TIMEOUT_S: from its next start on the agent is that release, on trial. False: not written.
begin_trial() {
  local from boot
  release_of good || release_of current || return 1
  from=$REPLY
  this_boot && boot=$REPLY
  uptime_s
  write_facts "$agent/trial" "release=$1" "from=$from" "boot_id=$boot" "uptime_s=$REPLY" "timeout_s=$2" || return 1
  release_of good || switch_surely good "$from" || return 1
  switch_surely current "$1"
}

# end_trial: what runs is settled, whatever was on trial.
end_trial() { [[ ! -e $agent/trial ]] || unlink "$agent/trial"; }

declare -A TRIAL=()
read_facts() { # read_facts FILE: into TRIAL
  local key value
  TRIAL=()
  while IFS='=' read -r key value; do [[ ! $key =~ ^[a-z_]{1,20}$ ]] || TRIAL[$key]=$value; done <"$1"
  [[ ${TRIAL[uptime_s]-} =~ ^[0-9]{1,10}$ && ${TRIAL[timeout_s]-} =~ ^[0-9]{1,6}$ ]]
}

# time_is_up FILE: of TRIAL, by the uptime; another boot counts anew. Until then false.
time_is_up() {
  this_boot
  local -r boot=$REPLY
  uptime_s
  if [[ ${TRIAL[boot_id]-} != "$boot" ]]; then
    TRIAL[boot_id]=$boot TRIAL[uptime_s]=$REPLY
    store_trial "$1" || :
    return 1
  fi
  ((REPLY - TRIAL[uptime_s] > TRIAL[timeout_s]))
}

store_trial() { # store_trial FILE: TRIAL into it
  local key
  local -a lines=()
  for key in release from boot_id uptime_s timeout_s reason at undecided; do
    [[ -z ${TRIAL[$key]-} ]] || lines+=("$key=${TRIAL[$key]}")
  done
  write_facts "$1" "${lines[@]}"
}

# judge_trial: of what ask_alive has just found.
judge_trial() {
  [[ -e $agent/trial ]] || return 0
  if ! read_facts "$agent/trial" || [[ -z ${TRIAL[release]-} ]]; then
    healed 'the note of a trial was damaged: taken away'
    end_trial
    return
  fi
  release_of current || :
  if [[ $REPLY != "${TRIAL[release]}" ]]; then # begun and not switched, or undone and not ended: either way it is over
    end_trial
  elif [[ -e $agent/refused/${TRIAL[release]} ]]; then # an undoing that was cut off
    go_back
  elif proves_itself "${TRIAL[release]}"; then
    switch_surely good "${TRIAL[release]}" || return 1
    end_trial
    sweep_releases || :
    healed "release ${TRIAL[release]} has proved itself"
  elif time_is_up "$agent/trial" && ! disk_is_at_fault; then
    undo_trial
  fi
}

# disk_is_at_fault: a release that waits for its disk proves nothing, and the one before it would wait as well.
disk_is_at_fault() { [[ ${ALIVE[state]} == serving && ${ALIVE[reason]-} == Disk* ]]; }

# proves_itself RELEASE: it serves, has completed a pass, and what it found out was taken where reports go.
proves_itself() {
  [[ ${ALIVE[state]} == serving && ${ALIVE[release]-} == "$1" && ${ALIVE[passes]:-0} -ge 1 ]] || return 1
  [[ ${ALIVE[sink]-} == no || ${ALIVE[delivered]:-0} -ge 1 ]]
}

undo_trial() {
  local -r release=${TRIAL[release]}
  TRIAL[at]=$(now_text)
  uptime_s
  TRIAL[uptime_s]=$REPLY
  what_was_wrong
  store_trial "$agent/refused/$release" || healed "the disk is full or read-only: that release $release is refused cannot be written down"
  go_back
}

# what_was_wrong: the reason, into TRIAL. Only `could not report` is no proof: the way to the backend may be at fault.
what_was_wrong() {
  local -r within="within ${TRIAL[timeout_s]} s"
  case ${ALIVE[state]} in
    not-running) TRIAL[reason]="did not start or did not keep running $within: $(last_words_of_agent)" ;;
    serving)
      if ((${ALIVE[passes]:-0} < 1)); then
        TRIAL[reason]="served, but completed no pass $within: $(last_words_of_agent)"
      else
        TRIAL[reason]="completed a pass, but no report of it was taken by the backend $within: ${ALIVE[message]-}"
        TRIAL[undecided]=1
      fi
      ;;
    *) TRIAL[reason]="ran, but did not answer on its socket $within: $(last_words_of_agent)" ;;
  esac
}

# go_back: current leads to what ran before, the trial is over, and what runs is restarted if it is another one.
go_back() {
  local to=${TRIAL[from]-}
  [[ -n $to && -x $agent/releases/$to/bin/towline-puller ]] || to=$(a_whole_release) || to=''
  if [[ -z $to || $to == "${TRIAL[release]}" ]]; then
    healed "release ${TRIAL[release]} did not prove itself, and there is no other one to go back to"
    unlink "$agent/refused/${TRIAL[release]}" 2>/dev/null || :
    switch_surely good "${TRIAL[release]}" || :
    end_trial
    return
  fi
  switch_surely current "$to" || { healed "$agent cannot be written: cannot go back to release $to" && return 1; }
  end_trial
  value_of reason "$agent/refused/${TRIAL[release]}" || REPLY=${TRIAL[reason]-}
  healed "release ${TRIAL[release]} is undone, back to $to: $REPLY"
  restart_into "$to"
}

restart_into() { # restart_into RELEASE: also where the agent does not run at all
  if [[ $PULLER_RELEASE != "$1" || ${ALIVE[state]} != serving ]]; then
    puller_restart || healed "the agent does not start: $(last_words_of_agent)"
    ask_alive
  fi
}

# decide_refusals: a release that could not report. The old one, which is back, can: so it was the release. It cannot
# either, for as long again: nobody knows, and the release may be tried again.
decide_refusals() {
  local file
  for file in "$agent"/refused/*; do
    [[ -f $file && $file != *.new ]] || continue
    { value_of undecided "$file" && read_facts "$file"; } || continue
    if [[ ${ALIVE[release]-} != "${file##*/}" ]] && proves_itself "${ALIVE[release]-}"; then
      TRIAL[undecided]='' TRIAL[reason]="${TRIAL[reason]%; the release before it could}; the release before it could"
      ! store_trial "$file" || healed "release ${file##*/} is refused: ${TRIAL[reason]}"
    elif time_is_up "$file"; then
      unlink "$file" && healed "release ${file##*/} may be tried again: the one before it cannot report either"
    fi
  done
}

# refusal_of HEX12 -> REPLY: the file of a refused release by the digest of its archive; false when it is not refused.
refusal_of() {
  for REPLY in "$agent"/refused/*-"$1"; do [[ ! -f $REPLY ]] || return 0; done
  return 1
}
