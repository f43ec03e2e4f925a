# shellcheck shell=bash
# install.sh: the command install. Each stage looks whether it is done already, so it may be cut off anywhere and given
# again: after power loss, over half an install, over another version, from two shells at once.

RELEASE_VERSION='' RESTART='' WHY=''
readonly LOCK_WAIT_S=900 SERVING_WAIT_S=90 PASS_WAIT_S=600 BY_HAND_TRIAL_S=1200

hand_install() {
  local id before=''
  trap 'end_install "$?"' EXIT
  proxies_known
  if take_token; then
    read_token
    own_digest_fits
  else
    known_host
  fi
  own_authorities
  judge
  take_lock "$LOCK_WAIT_S" 'Another agentctl.sh works on this prefix; waiting for it' ||
    fail "$FAILED" "another agentctl.sh has been at work for $((LOCK_WAIT_S / 60)) minutes$(holder_of_lock)"
  make_top_folders
  the_release && id=$REPLY
  CHANGED=0
  keep_proxies
  ((CHANGED == 0)) || RESTART=1
  enrol
  ! release_of current || before=$REPLY
  remove_below agent/stopped
  remove_below "agent/refused/$id" # a person asks for it: that is a new judgement
  if [[ -z $before || $before == "$id" ]]; then first_or_same; else another_version; fi
  sweep_releases
  remove_below agent/parts
  say "The agent ${RELEASE_VERSION} runs on this host as $(host_name) ($mode); this took $SECONDS s."
}

# known_host: without a token, what is enrolled here already is put right from what is here.
known_host() {
  [[ -z ${OPTIONS[force]-} ]] || fail "$BAD_ARGUMENTS" '--force makes this host another one, and there is no join token on standard input: towline host invite NAME prints one'
  ! is_half_enrolled ||
    fail "$BAD_ARGUMENTS" 'an enrolment was begun here and not finished: give its join token again, or another one and --force'
  if ! is_enrolled || ! release_of current; then
    fail "$BAD_ARGUMENTS" 'there is no join token on standard input: towline host invite NAME prints one'
  fi
  note 'No join token: putting right the install that is here'
  WHO=([agent_digest]='' [expires_at]=2999-01-01T00:00:00Z)
  setting host && WHO[host]=$REPLY
  setting backend_url && WHO[backend_url]=${REPLY%/}
}

own_authorities() { if setting ca_file && [[ -r $REPLY ]]; then OWN_CA=$REPLY; fi; }

host_name() { setting host && printf '%s' "$REPLY"; }

# Others may pass through: services have users of their own. What is in them says itself who may read it.
make_top_folders() {
  (umask 022 && mkdir -p "$prefix/incoming" "$prefix/metrics" "$prefix/etc" "$agent/releases") 2>/dev/null ||
    fail "$FAILED" "cannot write below $prefix: is the disk full?"
  mkdir -p "$agent/refused"
}

# the_release -> REPLY: the id of the release that shall run, unpacked and whole.
the_release() {
  local archive='' id
  if [[ -z ${WHO[agent_digest]-} ]]; then
    release_of current
  elif ! { release_with "${WHO[agent_digest]}" && release_is_whole "$REPLY"; }; then
    fetch_archive "${WHO[agent_digest]}" "${WHO[agent_size]:-0}"
    archive=$REPLY
    note 'Unpacking it'
    unpack_release "$archive" "${WHO[agent_digest]}"
    RESTART=1
  fi
  id=$REPLY
  value_of version "$agent/releases/$id/release" && RELEASE_VERSION=$REPLY
  value_of built_with "$agent/releases/$id/release" || :
  [[ -z ${OPTIONS[method]-} || $REPLY == "${OPTIONS[method]}" ]] ||
    fail "$DOCUMENT_WRONG" "the archive that the join token names is ${REPLY:-of another kind}, not ${OPTIONS[method]}: the version of the host's service of kind agent decides, or the newest towline-agent package"
  REPLY=$id
}

# enrol: keeps who this host is, where it is somebody already. The token goes through a pipe and nowhere else.
enrol() {
  local -a options=(--token-file - --metrics-dir "$prefix/metrics" ${ENROL_OPTIONS[@]+"${ENROL_OPTIONS[@]}"})
  if ! enrols; then
    note "This host is enrolled already, as $(host_name)"
    adjust_settings
    return
  fi
  [[ -z ${OPTIONS[force]-} ]] || options+=(--force)
  if [[ -n ${OPTIONS[force]-} ]] || goes_on_enrolling; then
    RESTART=1
    puller_stop || : # no unit is there yet; an agent that works still is told by `enroll`
  fi
  keep_authorities && options+=(--ca-file "$prefix/etc/ca.pem")
  note "Making this host known to the backend as ${WHO[host]}"
  "$agent/releases/$id/bin/towline-puller" --prefix "$prefix" enroll "${options[@]}" < <(printf '%s\n' "$TOKEN") >&2 7>&- ||
    fail "$FAILED" 'the backend did not take this host; see above. With a used token: invite the host again. Nothing runs; what was downloaded is kept'
  TOKEN=''
}

# keep_authorities: a copy of what --ca-file names, for the puller; false where nobody named one.
keep_authorities() {
  [[ -n ${OPTIONS['ca-file']-} ]] || return 1
  put "$prefix/etc/ca.pem" 0644 <"${OPTIONS['ca-file']}"
}

# adjust_settings: what this call says of CAs and of where documents come from, on a host that is enrolled. The agent is
# restarted where that changed something.
adjust_settings() {
  local -a options=(${ENROL_OPTIONS[@]+"${ENROL_OPTIONS[@]}"})
  CHANGED=0
  ! keep_authorities || options+=(--ca-file "$prefix/etc/ca.pem")
  ((${#options[@]})) || return 0
  digest_of_file "$prefix/etc/puller.toml" && local -r before=$REPLY
  "$agent/releases/$id/bin/towline-puller" --prefix "$prefix" adjust "${options[@]}" >&2 7>&- ||
    fail "$FAILED" 'its settings could not be changed; see above'
  digest_of_file "$prefix/etc/puller.toml"
  [[ $CHANGED == 0 && $REPLY == "$before" ]] || RESTART=1
}

digest_of_file() { REPLY=$(sha256sum <"$1") && REPLY=${REPLY%% *}; } # digest_of_file FILE -> REPLY

# first_or_same: nothing ran before, or the same release does: put right what keeps it, and let it run. What runs already
# as it should is not disturbed.
first_or_same() {
  switch_release current "$id"
  release_of good || switch_release good "$id"
  keep_install
  link_command
  if puller_runs && [[ $PULLER_RELEASE == "$id" && -z $RESTART ]] && ! unit_is_newer; then
    note 'It runs already'
  elif [[ -n $PULLER_PID ]]; then
    puller_restart || : # whether it runs is looked at next
  else
    puller_start || :
  fi
  proves_well || fail "$FAILED" "$WHY. It is kept trying: look again with check_status"
  switch_release good "$id"
  end_trial
}

# another_version: as an upgrade by the document: on trial until it made a pass. Should this command be cut off meanwhile,
# self_healing goes on with the trial; else the person sees how it ends.
another_version() {
  note "Going over from $before to $id"
  begin_trial "$id" "$BY_HAND_TRIAL_S" || fail "$FAILED" "$agent cannot be written: is the disk full?"
  keep_install
  link_command
  puller_restart || :
  if proves_well; then
    switch_release good "$id"
    end_trial
    return
  fi
  note "The release $id does not do: $WHY. Going back to $before"
  switch_release current "$before"
  end_trial
  keep_install
  { puller_restart && wait_serving "$SERVING_WAIT_S"; } || note "The release $before does not serve either: $(last_words_of_agent)"
  fail "$FAILED" "the release $id was undone: $WHY. $before runs again"
}

# proves_well: it serves, is the release that shall run, and made a pass, whose outcome is printed. Else WHY. The lock is
# given back meanwhile: the document may speak of the agent, too, and then that pass has steps that need it.
proves_well() {
  local -i passed=0
  wait_serving "$SERVING_WAIT_S" || { WHY="the agent does not serve after $SERVING_WAIT_S s: $(last_words_of_agent)" && return 1; }
  WHY="another release serves: ${ALIVE[release]-}"
  [[ ${ALIVE[release]-} == "$id" ]] || return 1
  exec 7>&-
  wait_first_pass "$PASS_WAIT_S" || passed=$?
  take_lock "$LOCK_WAIT_S" || fail "$FAILED" 'another command works on this prefix; look with check_status how it ended'
  WHY="it made no pass within $PASS_WAIT_S s: $(last_words_of_agent)"
  ((passed == 0)) || return 1
  WHY='the document asks for another release'
  release_of current && [[ $REPLY == "$id" ]]
}

# link_command: `towline-puller` for whoever looks around on the host; only where it can mean nothing else.
readonly COMMAND_LINK=/usr/local/bin/towline-puller
link_command() {
  ((EUID == 0)) && [[ $prefix == "$DEFAULT_PREFIX" ]] || return 0
  [[ ! -e $COMMAND_LINK || -L $COMMAND_LINK ]] || return 0 # somebody's own
  [[ $(readlink -- "$COMMAND_LINK" 2>/dev/null) != "$agent/current/bin/towline-puller" ]] || return 0
  mkdir -p "${COMMAND_LINK%/*}"
  ln -sfn "$agent/current/bin/towline-puller" "$COMMAND_LINK"
}

# end_install CODE: however it ends. What was refused is not kept, and where nothing came to be nothing is left; what
# broke off is kept for the next time.
end_install() {
  local name
  [[ -z $DOWNLOADING ]] || kill "$DOWNLOADING" 2>/dev/null || :
  (($1 != DOCUMENT_WRONG)) || [[ ! -d $agent/parts ]] || remove_below agent/parts
  for name in parts refused releases; do rmdir -- "$agent/$name" 2>/dev/null || :; done
  [[ ! -d $agent/releases && ! -d $agent/parts && -e $agent/lock && -e /proc/self/fd/7 ]] || return 0
  ! is_enrolled || return 0
  unlink "$agent/lock"
  for name in "$agent" "$prefix"/{incoming,metrics,etc} "$prefix"; do rmdir -- "$name" 2>/dev/null || :; done
}
