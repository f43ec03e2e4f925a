# shellcheck shell=bash
# zookeeper.sh: Kafka 3 that keeps its metadata in ZooKeeper. Nothing is formatted: a broker writes its own meta.properties.

with_zookeeper() { [[ -n ${PARAM[zookeeper_connect]} ]]; }

zookeeper_fits() {
  local name
  with_zookeeper || return 0
  [[ ${PARAM[zookeeper_connect]} =~ ^$PEER(,\ *$PEER)*(/[A-Za-z0-9._-]+)*$ ]] || problem zookeeper_connect 'is not HOST:PORT, with commas between, and perhaps a /path in the end'
  [[ ${TOWLINE_VERSION-} != [4-9]* ]] || problem zookeeper_connect "Kafka ${TOWLINE_VERSION:0:20} knows no ZooKeeper: 3.9 is the last that does"
  [[ ${PARAM[roles]} != controller ]] || problem roles 'with ZooKeeper there is no such controller'
  for name in cluster_id metadata_version; do [[ -z ${PARAM[$name]} ]] || problem "$name" 'is of KRaft: leave it out beside zookeeper_connect'; done
}

zookeeper_properties() {
  printf '%s\n' "broker.id=${PARAM[node_id]}" "zookeeper.connect=${PARAM[zookeeper_connect]//[[:space:]]/}" \
    "listeners=PLAINTEXT://${PARAM[bind]}:${PARAM[port]}" "log.dirs=$(IFS=, && echo "${LOG_FOLDERS[*]}")"
}

# make_storage: folders of a broker with this number, or empty ones. What was there and is gone is not begun anew.
make_storage() {
  local folder
  log_folders
  for folder in "${LOG_FOLDERS[@]}"; do
    if [[ -r $folder/meta.properties ]]; then
      belongs_here "$folder"
    elif [[ -n $(find "$folder" -mindepth 1 -print -quit 2>/dev/null) ]]; then
      fail "$FAILED" "$folder holds something else than records of Kafka: it is not touched"
    fi
  done
  [[ ! -r $service_dir/cluster-id || -r ${LOG_FOLDERS[0]}/meta.properties ]] || storage_is_gone "${LOG_FOLDERS[0]}"
  give_account
  as_account mkdir -p "${LOG_FOLDERS[@]}"
}

# outlive_session: one that was killed stands in ZooKeeper until its session is over, 18 s as Kafka has it, and the next
# one does not wait for that: it ends, because its number is taken. So it is started again until that time has passed.
outlive_session() {
  local -i until=$SECONDS
  to_seconds "${PARAM[start_timeout]}"
  until+=REPLY
  while :; do
    deadline "$((until - SECONDS))"
    wait_until up_or_gone || return 0
    ! running && number_is_taken && ((SECONDS < until)) || return 0
    log 'its number is still taken in ZooKeeper: it is started once more'
    pause 2
    launch_command
    launch
  done
}

up_or_gone() { ! running || { listening_ports "${IDENTITY[pid]}" && healthy; }; }
number_is_taken() { dd if="$log_dir/$service.log" iflag=nofollow bs=64k status=none 2>/dev/null | tail -n 100 | grep NodeExists >/dev/null; }

# note_cluster: once a broker runs, its storage tells which cluster it belongs to.
note_cluster() {
  local key value
  log_folders
  while IFS='=' read -r key value; do
    [[ $key != cluster.id ]] || put "$service_dir/cluster-id" <<<"$value"
  done <"${LOG_FOLDERS[0]}/meta.properties"
}
