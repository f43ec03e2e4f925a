# shellcheck shell=bash
# members.sh: a cluster of Nacos: whether this one is of it, and which of the others it sees.

membership_fits() {
  local name
  own_address
  [[ -n ${PARAM[members]} ]] || return 0
  if [[ ! ${PARAM[members]//[[:space:]]/} =~ ^$HOST_NAME:[1-9][0-9]{0,4}(,$HOST_NAME:[1-9][0-9]{0,4})*$ ]]; then
    problem members 'is not HOST:PORT, with commas between'
  elif [[ ,${PARAM[members]//[[:space:]]/}, != *",$REPLY:${PARAM[port]},"* ]]; then
    problem members "has not this one: ${REPLY:-address}:${PARAM[port]}"
  fi
  for name in token_secret identity_secret; do
    [[ -n ${SECRET[$name]-} ]] || problem "$name" 'is needed in a cluster, the same on all members'
  done
}

own_address() { # -> REPLY: what members call this one; empty: Nacos finds one
  REPLY=${PARAM[address]}
  [[ -n $REPLY || ${PARAM[bind]} == 0.0.0.0 || ${PARAM[bind]} == '[::]' ]] || REPLY=${PARAM[bind]}
}

# members_up: asked as a member asks, by the header that only members know.
members_up() {
  local path=/v1/core/cluster/nodes header member lost=''
  local -i all=0 up=0
  local -a members
  is_cluster || return 0
  ! is_three || path=/v3/admin/core/cluster/node/list
  property_of "$etc/application.properties" nacos.core.auth.server.identity.value && header="${PARAM[identity_key]}: $REPLY"
  reachable "${PARAM[bind]}"
  if ! http_body "$REPLY" "${PARAM[port]}" "${PARAM[context_path]}$path" "$header" || [[ $HTTP_STATUS != 200 ]]; then
    REASON="does not tell its members: HTTP ${HTTP_STATUS:-has no answer}" && return 1
  fi
  read_states "$REPLY"
  IFS=, read -ra members <<<"${PARAM[members]//[[:space:]]/}"
  for member in "${members[@]}"; do
    all+=1
    if [[ ${STATE_OF[$member]-} == UP ]]; then up+=1; else lost+=", $member is ${STATE_OF[$member]:-unknown}"; fi
  done
  ((up == all)) || { REASON="$up of $all members are up: ${lost#, }" && return 1; }
}

# read_states JSON: sets STATE_OF, by HOST:PORT
declare -A STATE_OF=()
read_states() {
  local text=$1
  STATE_OF=()
  while [[ $text =~ \"ip\":\"([^\"]*)\",\"port\":([0-9]+),\"state\":\"([A-Z_]+)\" ]]; do
    STATE_OF["${BASH_REMATCH[1]}:${BASH_REMATCH[2]}"]=${BASH_REMATCH[3]}
    text=${text#*"${BASH_REMATCH[0]}"}
  done
}
