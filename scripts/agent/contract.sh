# shellcheck shell=bash
# contract.sh: the kind agent, as the puller calls it (docs/scripts/agent.md). The agent is upgraded like any service, and
# never stopped or removed by a document: nobody would be left to take that back.

# Read by meta.sh
# shellcheck disable=SC2034
KIND=agent SUMMARY='The agent itself' HOLDS_DATA=false SIDE_BY_SIDE=true VERSIONS='' PORTS='' METRICS=''

# name | type | default | bounds | effect | help
PARAMETERS='
trial_timeout | duration | 5m | 20s..1d | none | So long a new release has to complete a pass and to report it, before the old one is back
'
# shellcheck disable=SC2034
PACKAGES='
release | required | archive of the agent: towline-agent-VERSION-linux-x86_64.tar.gz, or the one with wheels | release* bin/towline-puller
'
VERBS='
meta 10  check_status 15  install 300  configure 60  start 120  restart 90  stop 10  uninstall 10  purge 10
'
readonly NOT_BY_DOCUMENT='the agent is not stopped or removed by a document: set mode suspended, or run agentctl.sh uninstall on the host'

# service_files: called by the_service. The agent has its own folder, beside those of the services.
service_files() {
  agent=$prefix/agent
  run=$agent etc=$agent current=$agent/current
  CONFIG_FILES=("$agent/parameters")
  LINKS=()
  [[ -d $agent ]] || return 0
  known_mode
  case $mode in
    systemd | user)
      agent_unit_folder
      CONFIG_FILES+=("$REPLY/$PULLER_UNIT" "$REPLY/$HEALING_UNIT" "$REPLY/$HEALING_TIMER")
      ;;
    cron) ! uses_cron_file || CONFIG_FILES+=("$CRON_FILE") ;;
  esac
}

# check_status: of /proc and files alone. The version is that of the process that runs, not of the link.
check_status() {
  release_of current || answer absent 'no release of the agent is installed here'
  local -r due=$REPLY
  if puller_runs; then config_digest "/proc/$PULLER_PID/cmdline"; else config_digest; fi
  config_facts
  if [[ -z $PULLER_PID ]]; then
    fact version "${due%-*}"
    why_stopped && answer stopped "$REPLY"
  fi
  fact version "${PULLER_RELEASE%-*}"
  fact pid "$PULLER_PID"
  fact start_time "$PULLER_START"
  this_boot && fact boot_id "$REPLY"
  REPLY=$(readlink "/proc/$PULLER_PID/exe" 2>/dev/null) && fact exe "$REPLY"
  fact command "${DIGESTS[-1]}"
  [[ $mode != systemd && $mode != user ]] || fact unit "$PULLER_UNIT"
  [[ ! -e $agent/trial ]] || answer running "release $due is on trial"
  answer running
}

why_stopped() { # -> REPLY
  REPLY=''
  [[ ! -e $agent/stopped ]] || { REPLY='an operator stopped the agent' && return 0; }
  [[ -z $HOLDER ]] || { REPLY="another puller works here (pid $HOLDER)" && return 0; }
  { read -r REPLY <"$prefix/state/lock"; } 2>/dev/null || return 0
  REPLY="process $REPLY is gone"
}

# install: the release beside the others. One that was undone is not tried again.
install() {
  local file version digest name
  package_of release || fail "$NOT_INSTALLED" 'no package for the role release'
  [[ -e $agent/installed ]] || fail "$NOT_INSTALLED" 'this puller was not installed by agentctl.sh: its version is not ours to change'
  local -r hex=${digest#sha256:}
  refuse_refused "$hex"
  take_lock 120 || fail "$FAILED" 'another command works on the agent'
  if ! release_with "$hex" || ! release_is_whole "$REPLY"; then
    unpack_release "$file" "$hex"
    CHANGED=1
  fi
  local -r id=$REPLY
  [[ -z ${TOWLINE_VERSION-} || $TOWLINE_VERSION == "${id%-*}" ]] ||
    fail "$DOCUMENT_WRONG" "the package holds version ${id%-*}, the document says $TOWLINE_VERSION"
  release_of current || first_link current "$id" # a first one needs no trial: there is no other
  release_of good || [[ -e $agent/trial ]] || { release_of current && first_link good "$REPLY"; }
}

first_link() { # first_link LINK RELEASE
  switch_release "$1" "$2"
  CHANGED=1
}

refuse_refused() { # refuse_refused HEX
  refusal_of "${1:0:12}" || return 0
  local -r file=$REPLY
  value_of undecided "$file" || :
  local -r undecided=$REPLY
  value_of reason "$file" || :
  [[ -z $undecided ]] || fail "$FAILED" "release ${file##*/} was undone: $REPLY. Whether it was its fault is not decided yet"
  fail "$DOCUMENT_WRONG" "release ${file##*/} was undone and is not tried again: $REPLY. To try it again: another version, or remove $file on the host"
}

# configure: who keeps the agent, as the scripts of this bundle have it. Never restarts.
configure() {
  need_release
  take_lock 30 || fail "$FAILED" 'another command works on the agent'
  keep_install
  configured_agent
}

need_release() { release_of current || fail "$NOT_INSTALLED" 'no release of the agent is installed here'; }

configured_agent() { # the last word of configure
  record_parameters
  config_digest
  keep_written
  fact config "$REPLY"
}

# start: where the agent runs that is started, since it is the one who asks.
start() {
  need_release
  puller_runs && return 0
  [[ ! -e $agent/stopped ]] || fail "$FAILED" "an operator stopped the agent: $(<"$agent/stopped")"
  puller_start || fail "$FAILED" "the agent does not start: $(last_words_of_agent)"
  wait_quietly 30 puller_runs || fail "$FAILED" "the agent does not start: $(last_words_of_agent)"
  CHANGED=1
}

# restart: the agent that runs is of the wanted release; on trial, where that one has not proved itself. The call outlives
# the agent that asked for it (its keeper does), and its receipt is read by the one that comes.
restart() {
  local file version digest name
  { package_of release && release_with "${digest#sha256:}"; } || fail "$NOT_INSTALLED" 'the wanted release is not installed'
  local -r wanted=$REPLY
  refuse_refused "${digest#sha256:}"
  take_lock 30 || fail "$FAILED" 'another command works on the agent'
  puller_runs || :
  local -r before=$PULLER_PID:$PULLER_START
  if [[ $PULLER_RELEASE == "$wanted" ]] && is_due "$wanted" && ! unit_is_newer; then return 0; fi
  is_due "$wanted" || switch_to "$wanted"
  CHANGED=1
  ask_for_restart
  exec 7>&- # whoever restarts it needs the lock
  deadline 60
  wait_until is_restarted || fail "$FAILED" "release $wanted does not start: $(last_words_of_agent)"
}

is_restarted() { puller_runs && [[ $PULLER_PID:$PULLER_START != "$before" && $PULLER_RELEASE == "$wanted" ]]; }

is_due() { release_of current && [[ $REPLY == "$1" ]]; }

switch_to() { # switch_to RELEASE: on trial, unless it proved itself before
  if release_of good && [[ $REPLY == "$1" ]]; then
    switch_surely current "$1" || fail "$FAILED" "$agent cannot be written: is the disk full?"
    end_trial
  else
    to_seconds "${PARAM[trial_timeout]:-5m}"
    begin_trial "$1" "$REPLY" || fail "$FAILED" "$agent cannot be written: is the disk full?"
  fi
  log "release $1 is due"
}

# ask_for_restart: does not wait for itself. Without systemd self_healing does it, in a session of its own that holds
# nothing of this call.
ask_for_restart() {
  case $mode in
    systemd | user) agent_manager restart --no-block "$PULLER_UNIT" ;;
    *)
      env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "HOME=$prefix" \
        setsid -f sh -- "$agent/self_healing" </dev/null >/dev/null 2>&1 7>&- 9>&-
      ;;
  esac
}

stop() { fail "$DOCUMENT_WRONG" "$NOT_BY_DOCUMENT"; }
uninstall() { fail "$DOCUMENT_WRONG" "$NOT_BY_DOCUMENT"; }
purge() { fail "$DOCUMENT_WRONG" "$NOT_BY_DOCUMENT"; }
