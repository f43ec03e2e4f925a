# shellcheck shell=bash
# health.sh: what this node says of its cluster, asked by HTTP; and the disk that its indexes are on.

# ask_cluster: sets ANSWER; false with the reason in REASON.
declare ANSWER=''
ask_cluster() {
  local header='' timeout=master_timeout
  ! is_opensearch || ! since 7 2 || timeout=cluster_manager_timeout
  password_header && header=$REPLY
  reachable "${PARAM[bind]}"
  http_short "$REPLY" "${PARAM[port]}" "/_cluster/health?$timeout=3s&timeout=1s" "$header" || { REASON="does not answer HTTP on port ${PARAM[port]} within $PROBE_TIMEOUT_S s" && return 1; }
  ANSWER=$REPLY
  case $HTTP_STATUS in
    200 | 408) ;; # 408: it has an answer, though not all that was waited for
    401 | 403) REASON="refuses the password of the user elastic (HTTP $HTTP_STATUS)" && return 1 ;;
    503) REASON='has no master: a majority of the nodes that may be one is needed' && return 1 ;;
    *) REASON="answers HTTP $HTTP_STATUS when asked for the health of the cluster" && return 1 ;;
  esac
  [[ $ANSWER =~ \"status\":\"(green|yellow|red)\" ]] || { REASON='tells no status of its cluster' && return 1; }
}

password_header() { # -> REPLY: what the user elastic sends
  REPLY=''
  [[ ! -r $etc/password ]] || { read -r _ && IFS= read -r REPLY; } <"$etc/password"
}

count_of() { # count_of NAME -> REPLY: a number of the answer
  REPLY=0
  [[ ! $ANSWER =~ \"$1\":([0-9]+) ]] || REPLY=${BASH_REMATCH[1]}
}

# What start waits for: this node itself, in a cluster that has a master.
healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  ask_cluster
}

# Then whether the cluster is whole, as this node sees it, and whether its own disk has room: of ANSWER, after healthy.
whole() { cluster_is_whole && disk_has_room; }

cluster_is_whole() {
  local status shards nodes expected=${PARAM[expected_nodes]}
  local -a seeds
  [[ $ANSWER =~ \"status\":\"([a-z]+)\" ]] && status=${BASH_REMATCH[1]}
  count_of number_of_nodes && nodes=$REPLY
  count_of unassigned_shards && shards=$REPLY
  count_of initializing_shards && shards=$((shards + REPLY))
  [[ $status != red ]] || { REASON="is red: indexes are not whole, $shards shards have no node that is ready" && return 1; }
  IFS=, read -ra seeds <<<"${PARAM[seeds]}"
  expected=${expected:-${#seeds[@]}}
  ((nodes >= expected)) || { REASON="$nodes of $expected nodes are in the cluster" && return 1; }
  [[ $status == green || ${PARAM[least_status]} == yellow ]] || { REASON="is yellow: $shards replicas of shards have no node that is ready" && return 1; }
}

readonly GIB=1073741824
disk_has_room() {
  local size free
  local -a marks=(85 90 95)
  local -i used most=0
  [[ -z ${PARAM[watermarks]} ]] || read -ra marks <<<"${PARAM[watermarks]}"
  { read -r _ && read -r size free; } < <(exec df -B1 --output=size,avail "$data/${PARAM[data_folder]}" 2>/dev/null) || return 0
  ((size > 0)) || return 0
  used=$((100 - free * 100 / size))
  if [[ -z ${PARAM[watermarks]} ]] && ! is_opensearch && since 8; then most=$GIB; fi # on large disks it leaves so much and no more
  if above 2 100; then
    REASON="disk: $used % in use, above its flood stage: its indexes are written to no more"
  elif above 1 150; then
    REASON="disk: $used % in use, above its high watermark: shards are given away"
  elif above 0 200; then
    REASON="disk: $used % in use, above its low watermark: it gets no more shards"
  else
    return 0
  fi
  return 1
}

above() { # above INDEX GIB_LEFT: in the variables of disk_has_room
  ((free * 100 < size * (100 - marks[$1]) && (most == 0 || free < $2 * most)))
}
