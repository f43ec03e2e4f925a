# shellcheck shell=bash
# set.sh: the replica set, as its members make it. The first of the parameter members forms it, once, when every one of them answers
# and none of them is in a set; one that comes later takes itself in. Beside data/ stands `replica-set`: this member is, or was, in it.

own_name() { REPLY=${PARAM[advertised]:-${PARAM[bind]%%,*}}:${PARAM[port]}; } # -> REPLY

member_names() { # -> WORDS
  own_name
  IFS=', ' read -ra WORDS <<<"${PARAM[members]:-$REPLY}"
}

asked() { knock "${1%:*}" "${1##*:}" && ask_hello "${1%:*}" "${1##*:}"; } # asked HOST:PORT: its hello

leads() { ask_hello && [[ ${ANSWER[isWritablePrimary]-} == true ]]; } # this one takes the writes

in_set() { [[ -n ${ANSWER[setName]-} ]]; } # after ask_hello

# join_set: after each start. One that is in its set already, and is all that the document says, costs one question.
join_set() {
  local name
  ask_hello || fail "$FAILED" "does not answer: $REPLY"
  if ! in_set; then
    own_name && name=$REPLY
    member_names
    if [[ ${WORDS[0]} == "$name" && ! -e $service_dir/replica-set ]] && ! set_elsewhere; then form_set; else take_in; fi
  fi
  ask_hello || fail "$FAILED" "does not answer: $REPLY"
  ! in_set || put "$service_dir/replica-set" <<<"${ANSWER[setName]}"
}

# set_elsewhere -> REPLY: the primary (HOST:PORT) of the set that another member is in already; empty where it has none now.
set_elsewhere() {
  local member name
  own_name && name=$REPLY
  for member in "${WORDS[@]}"; do
    if [[ $member != "$name" ]] && asked "$member" && [[ ${ANSWER[setName]-} == "${PARAM[replica_set]}" ]]; then
      REPLY=${ANSWER[primary]-} && return 0
    fi
  done
  return 1
}

form_set() {
  local member list=''
  local -i index=0
  to_seconds "${PARAM[start_timeout]}" && deadline "$REPLY"
  wait_until all_answer || fail "$FAILED" "does not form the replica set: $REPLY"
  for member in "${WORDS[@]}"; do
    bson int _id "$index" text host "$member"
    bson doc "$index" "$REPLY" && list+="$REPLY"
    index=$((index + 1))
  done
  bson text _id "${PARAM[replica_set]}" list members "$list"
  bson doc replSetInitiate "$REPLY" && local -r request=$REPLY
  { ask_hello && command_of admin "$request"; } || fail "$FAILED" "the replica set is not formed: $REPLY"
  did "formed the replica set ${PARAM[replica_set]} of ${WORDS[*]}"
  wait_until primary_known || fail "$FAILED" 'the replica set has no primary yet'
}

all_answer() { # REPLY says who does not
  local member
  for member in "${WORDS[@]}"; do
    asked "$member" || { REPLY="$member does not answer" && return 1; }
  done
}

primary_known() { ask_hello && [[ -n ${ANSWER[primary]-} ]]; }

# take_in: this member, by the primary of the set that others are in. While none of them is in one, the first one will do it.
take_in() {
  local name
  local -i tries
  own_name && name=$REPLY
  set_elsewhere || return 0
  for ((tries = 0; tries < 30; tries++)); do
    if ask_hello && in_set; then return 0; fi # it was among those of whom the set was formed just now
    if set_elsewhere && [[ -n $REPLY ]] && changed_set "$REPLY" with "$name"; then return 0; fi
    pause 1
  done
  fail "$FAILED" "is not taken into the replica set: ${REPLY:-it has no primary}"
}

# leave: before a service that shall be absent ends. A set that is not there to be asked is no reason to stay.
leave() {
  local primary name
  if [[ -z ${PARAM[replica_set]} ]] || ! ask_hello || ! in_set; then return 0; fi
  primary=${ANSWER[primary]-}
  own_name && name=$REPLY
  if [[ $primary == "$name" ]]; then
    [[ -n ${ANSWER['hosts.1']-} ]] || return 0
    if enter; then
      bson int replSetStepDown 60
      command_of admin "$REPLY" || log "does not step down: $REPLY"
    fi
    deadline 20
    wait_until another_leads || return 0
    primary=${ANSWER[primary]}
  fi
  [[ -z $primary ]] || changed_set "$primary" without "$name" || log "stays in the replica set's configuration: $REPLY"
}

another_leads() { own_name && local -r name=$REPLY && ask_hello && [[ -n ${ANSWER[primary]-} && ${ANSWER[primary]} != "$name" ]]; }

# changed_set PRIMARY with|without MEMBER: the set's own configuration, by its primary. The members that are there keep all that they have.
changed_set() {
  local -r primary=$1 name=$3
  local path list='' rest='' host
  local -i index=0 id most=-1 version found=0
  if ! asked "$primary" || ! enter; then return 1; fi
  bson int replSetGetConfig 1
  command_of admin "$REPLY" || return 1
  version=${ANSWER['config.version']}
  while [[ -n ${FIRST["config.members.$index"]-} ]]; do
    path=config.members.$index host=${ANSWER["config.members.$index.host"]}
    id=${ANSWER["$path._id"]}
    ((id <= most)) || most=$id
    if [[ $host == "$name" ]]; then found=1; fi
    if [[ $host != "$name" || $2 == with ]]; then
      hex_of "$index" && list+=03${REPLY}00 && raw "$path" && list+="$REPLY"
    fi
    index+=1
  done
  [[ $2 != with || $found == 0 ]] && [[ $2 == with || $found == 1 ]] || return 0
  if [[ $2 == with ]]; then
    bson int _id "$((most + 1))" text host "$name"
    bson doc "$index" "$REPLY" && list+="$REPLY"
  fi
  for path in _id term protocolVersion writeConcernMajorityJournalDefault settings; do
    [[ -n ${ELEMENT["config.$path"]-} ]] || continue
    raw "config.$path" whole && rest+="$REPLY"
  done
  bson int version "$((version + 1))" list members "$list"
  bson doc replSetReconfig "$rest$REPLY"
  command_of admin "$REPLY" || return 1
  did "the replica set goes on $2 $name"
}

# forget_gone: members that the document no longer names and that nobody can reach leave the set's configuration. One that is not named
# and answers may be a new one, which another member's newer document names.
forget_gone() {
  local -i index
  local -a gone=()
  if ! leads || ! enter; then return 0; fi
  member_names
  bson int replSetGetStatus 1
  command_of admin "$REPLY" || return 0
  for ((index = 0; index < 50; index++)); do
    [[ ${ANSWER["members.$index.health"]-1} != 0 || " ${WORDS[*]} " == *" ${ANSWER["members.$index.name"]} "* ]] || gone+=("${ANSWER["members.$index.name"]}")
  done
  own_name && local -r name=$REPLY
  for index in "${!gone[@]}"; do
    changed_set "$name" without "${gone[index]}" || fail "$FAILED" "does not let go of the member ${gone[index]}: $REPLY"
  done
}

# set_is_whole: as this member sees it; after ask_hello.
set_is_whole() {
  local member
  in_set || { REASON="is in no replica set yet${ANSWER[info]:+: ${ANSWER[info]:0:200}}" && return 1; }
  [[ ${ANSWER[setName]} == "${PARAM[replica_set]}" ]] || { REASON="is in the replica set ${ANSWER[setName]}, should be in ${PARAM[replica_set]}" && return 1; }
  local -r role=${ANSWER[isWritablePrimary]-}${ANSWER[secondary]-} primary=${ANSWER[primary]-}
  local -A known=()
  for member in "${!ANSWER[@]}"; do
    [[ ! $member =~ ^(hosts|passives|arbiters)\. ]] || known[${ANSWER[$member]}]=1
  done
  [[ $role == *true* ]] || { REASON="$(own_state)" && return 1; }
  [[ -n $primary ]] || { REASON='its replica set has no primary: a majority of the members is needed' && return 1; }
  member_names
  for member in "${WORDS[@]}"; do
    [[ -n ${known[$member]-} ]] || { REASON="$member is declared, and is not in the replica set" && return 1; }
  done
  members_are_well
}

own_state() { # in words: hello says only that it is neither
  local said=''
  if enter && bson int replSetGetStatus 1 && command_of admin "$REPLY"; then said=${ANSWER[myState]-}; fi
  case $said in
    3) echo 'recovers (RECOVERING): it takes no reads yet' ;;
    5) echo 'makes its first copy of the data (STARTUP2)' ;;
    9) echo 'takes back what the others never had (ROLLBACK)' ;;
    10) echo 'was taken out of its replica set (REMOVED)' ;;
    *) echo 'is neither primary nor secondary: it recovers, or makes its first copy' ;;
  esac
}

# members_are_well: by replSetGetStatus. Without an account that can be used yet there is no such answer, and hello's is all.
members_are_well() {
  local name state
  local -i index most=0 at behind=0 lag=0
  if ! enter; then
    [[ -n $SALT ]] || return 0
    REASON="cannot log in to its own server: root_password is not what the data has (${REPLY:0:100})" && return 1
  fi
  bson int replSetGetStatus 1
  command_of admin "$REPLY" || { REASON="tells no state of its replica set: ${REPLY:0:200}" && return 1; }
  for ((index = 0; index < 50; index++)); do
    name=${ANSWER["members.$index.name"]-} state=${ANSWER["members.$index.stateStr"]-}
    [[ -n $name ]] || break
    [[ ${ANSWER["members.$index.health"]-1} == 1 ]] || { REASON="the member $name cannot be reached: ${ANSWER["members.$index.lastHeartbeatMessage"]:0:200}" && return 1; }
    case $state in PRIMARY | SECONDARY | ARBITER) ;; *) REASON="the member $name is $state" && return 1 ;; esac
    [[ $state != PRIMARY ]] || most=${ANSWER["members.$index.optimeDate"]}
  done
  to_seconds "${PARAM[max_lag]}" && lag=$REPLY
  for ((index = 0; most && index < 50; index++)); do
    [[ ${ANSWER["members.$index.stateStr"]-} == SECONDARY ]] || continue
    at=${ANSWER["members.$index.optimeDate"]} behind=$(((most - at) / 1000))
    ((behind <= lag)) || { REASON="the member ${ANSWER["members.$index.name"]} is $behind s behind the primary" && return 1; }
  done
}
