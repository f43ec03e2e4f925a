# shellcheck shell=bash
# alive.sh: which process the agent is, asking it, and waiting for it.

# start_time_of PID -> REPLY: field 22 of its stat, which with the pid tells one process of a boot; false for a dead one.
start_time_of() {
  local text=''
  local -a fields
  { IFS= read -r -d '' text <"/proc/$1/stat"; } 2>/dev/null || [[ -n $text ]] || return 1
  read -ra fields <<<"${text##*) }" # the name in parentheses may hold anything
  [[ ${fields[0]} != [ZX] ]] || return 1
  REPLY=${fields[19]}
}

uptime_s() { read -r REPLY _ </proc/uptime && REPLY=${REPLY%%.*}; } # whole seconds of this boot
this_boot() { read -r REPLY </proc/sys/kernel/random/boot_id; }

# puller_runs: whether an agent of this prefix runs: whoever holds state/lock, if /proc says that it is `run` of one of
# our releases. Sets PULLER_PID, PULLER_START, PULLER_RELEASE; HOLDER also where somebody else holds the lock (`once`).
PULLER_PID='' PULLER_START='' PULLER_RELEASE='' HOLDER=''
puller_runs() {
  PULLER_PID='' PULLER_START='' PULLER_RELEASE='' HOLDER=''
  local pid=''
  { exec 6<"$prefix/state/lock"; } 2>/dev/null || return 1
  flock -n -s 6 || { read -r pid <&6 || :; }
  exec 6<&-
  [[ $pid =~ ^[1-9][0-9]{0,9}$ ]] && start_time_of "$pid" || return 1
  HOLDER=$pid
  release_of_process "$pid" || return 1
  start_time_of "$pid" || return 1
  PULLER_PID=$pid PULLER_START=$REPLY
}

# release_of_process PID: sets PULLER_RELEASE when its command line is `run` out of agent/releases/<id>/.
release_of_process() {
  local releases word is_run=''
  local -a words=()
  { mapfile -d '' -t words <"/proc/$1/cmdline"; } 2>/dev/null || return 1
  releases=$(cd -P -- "$agent/releases" 2>/dev/null && printf '%s/' "$PWD") || return 1
  for word in ${words[@]+"${words[@]}"}; do
    [[ $word != run ]] || is_run=1
    [[ $word == "$releases"*/* && -z $PULLER_RELEASE ]] || continue
    word=${word#"$releases"} PULLER_RELEASE=${word%%/*}
  done
  [[ -n $PULLER_RELEASE && -n $is_run ]] || { PULLER_RELEASE='' && return 1; }
}

# ask_alive: fills ALIVE from the puller's own answer; its state is serving, not-serving, not-running, or unknown where
# nobody could be made to ask. Never waits longer than 15 s. Nothing but bash runs where no process is there.
declare -A ALIVE=()
ask_alive() {
  local key value said link
  local -i code
  ALIVE=([state]=not-running)
  puller_runs || [[ -n $HOLDER ]] || return 0
  ALIVE=([state]=unknown [pid]=$HOLDER [release]=$PULLER_RELEASE)
  for link in "releases/${PULLER_RELEASE:-none}" current good; do
    [[ -x $agent/$link/bin/towline-puller ]] || continue
    code=0
    said=$(timeout -k 5 10 "$agent/$link/bin/towline-puller" --prefix "$prefix" alive 2>/dev/null 7>&-) || code=$?
    ((code == 0 || code == 1 || code == 3)) && [[ $said == *state=* ]] || continue
    while IFS='=' read -r key value; do
      [[ ! $key =~ ^[a-z_]{1,20}$ ]] || ALIVE[$key]=${value//[[:cntrl:]]/ }
    done <<<"$said"
    return 0
  done
}

is_serving() { ask_alive && [[ ${ALIVE[state]} == serving ]]; }

has_passed() { is_serving && ((${ALIVE[passes]:-0} >= 1)); }

# wait_serving SECONDS: until the agent serves; says what it waits for. False, and REPLY says how it is, when it does not
# in time.
wait_serving() { wait_for "$1" 'the agent to answer on its socket' is_serving || reason_of_state; }

# wait_first_pass SECONDS: until the agent that runs has completed a pass, and prints its outcome. False as above.
wait_first_pass() {
  wait_for "$1" "the agent's first pass" has_passed || { reason_of_state || return 1; }
  say "first pass completed: $(told_readiness)"
}

reason_of_state() { # -> REPLY, and false
  REPLY=$(told_state)
  [[ ${ALIVE[state]} == serving ]] || REPLY+="; its last words: $(last_words_of_agent)"
  return 1
}

wait_for() { # wait_for SECONDS TEXT COMMAND...
  local -i end=SECONDS+$1 next=SECONDS+10
  ! "${@:3}" || return 0
  note "waiting up to $1 s for $2"
  until "${@:3}"; do
    ((SECONDS < end)) || return 1
    ((SECONDS < next)) || { next=SECONDS+30 && note "still waiting for $2: $(told_state)"; }
    sleep 0.5
  done
}

told_readiness() {
  local text="Ready=${ALIVE[ready]:-Unknown}"
  [[ -z ${ALIVE[reason]-} ]] || text+=" (${ALIVE[reason]})"
  [[ -z ${ALIVE[message]-} ]] || text+=": ${ALIVE[message]}"
  say "$text"
}

told_state() { # of ALIVE, in a line
  local text="${ALIVE[state]/-/ }"
  [[ -z ${ALIVE[pid]-} ]] || text+=", pid ${ALIVE[pid]}"
  [[ -z ${ALIVE[release]-} ]] || text+=", release ${ALIVE[release]}"
  if [[ ${ALIVE[state]} == serving ]]; then
    text+=", up ${ALIVE[up_s]:-?} s, ${ALIVE[passes]:-0} passes"
    [[ -z ${ALIVE[pass_age_s]-} ]] || text+=", the last one ended ${ALIVE[pass_age_s]} s ago$(told_good_pass)"
  fi
  say "$text"
}

told_good_pass() { # an older agent does not say when its last good one was
  [[ ${ALIVE[good_pass_age_s]+is} == is ]] || return 0
  case ${ALIVE[ready]-}:${ALIVE[good_pass_age_s]} in
    True:*) say ', a good one' ;;
    *:) say ', none was good' ;;
    *) say ", the last good one ${ALIVE[good_pass_age_s]} s ago" ;;
  esac
}

# The command check_status: 0 serving; 1 running, not serving; 3 not running.
hand_check_status() {
  local file
  ask_alive
  say "$(told_state)"
  [[ ${ALIVE[state]} != serving ]] || say "$(told_readiness)"
  if [[ -r $agent/stopped ]]; then read -r file <"$agent/stopped" && say "stopped by an operator: $file"; fi
  ! value_of release "$agent/trial" || say "on trial: release $REPLY"
  for file in "$agent"/refused/*; do
    [[ ! -r $file ]] || {
      value_of reason "$file" || :
      say "refused: release ${file##*/}: $REPLY"
    }
  done
  case ${ALIVE[state]} in
    serving) return 0 ;;
    not-running) exit 3 ;;
    *) exit 1 ;;
  esac
}
