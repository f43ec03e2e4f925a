# shellcheck shell=bash
# storage.sh: Kafka's storage, formatted once, before the first start.
#
# Beside data/, in the service's own folder, stand `formatting` (the folders that a call formats right now; the server has
# never run with what is in them) and `cluster-id` (there is, or was, storage of that cluster).

declare -a LOG_FOLDERS=()
log_folders() {
  local name
  LOG_FOLDERS=()
  for name in ${PARAM[log_folders]}; do LOG_FOLDERS+=("$data/$name"); done
}

# format_storage: all folders are formatted and this node's, or new ones become so. One that holds anything else is never
# touched, and storage that was there and is gone (a disk that is not mounted) is not replaced by an empty one.
format_storage() {
  local folder id=${PARAM[cluster_id]}
  local -a new=()
  log_folders
  clear_half
  for folder in "${LOG_FOLDERS[@]}"; do
    if [[ -r $folder/meta.properties ]]; then
      belongs_here "$folder"
    elif [[ -z $(find "$folder" -mindepth 1 -print -quit 2>/dev/null) ]]; then
      new+=("$folder")
    else
      fail "$FAILED" "$folder holds something else than formatted storage: it is not touched"
    fi
  done
  ((${#new[@]})) || return 0
  if [[ -r $service_dir/cluster-id ]]; then
    [[ ${new[0]} != "${LOG_FOLDERS[0]}" ]] || storage_is_gone "${new[0]}"
    id=$(<"$service_dir/cluster-id")
  fi
  [[ -n $id ]] || { random_id && id=$REPLY; }
  put "$service_dir/formatting" < <(printf '%s\n' "${new[@]}")
  give_account
  as_account mkdir -p "${new[@]}"
  format_as "$id"
  put "$service_dir/cluster-id" <<<"$id"
  unlink "$service_dir/formatting"
}

format_as() { # format_as CLUSTER_ID
  local words
  local -a release=()
  [[ -z ${PARAM[metadata_version]} ]] || release=(--release-version "${PARAM[metadata_version]}")
  words=$(kafka_tool kafka-storage format --cluster-id "$1" --config "$etc/server.properties" --ignore-formatted ${release[@]+"${release[@]}"} 2>&1) ||
    fail "$FAILED" "kafka-storage.sh does not format: ${words: -600}"
  as_account sync -f "${LOG_FOLDERS[0]}"
  [[ -z ${PARAM[metadata_version]} || -r $service_dir/cluster-id ]] || put "$run/metadata-version" <<<"${PARAM[metadata_version]}"
}

# clear_half: what a killed call had begun to format. Twice proven: only its marker names the folder, and only the files of
# the format are taken out.
clear_half() {
  local folder odd
  [[ -r $service_dir/formatting ]] || return 0
  while IFS= read -r folder; do
    [[ -d $folder && $folder == "$data"/* ]] || continue
    odd=$(find "$folder" -mindepth 1 -maxdepth 1 ! \( -type f \( -name 'meta.properties*' -o -name 'bootstrap.checkpoint*' -o -name '*.tmp' \) \) -print -quit)
    [[ -z $odd ]] || fail "$FAILED" "$folder is half formatted, and holds $odd: it is not touched"
    as_account env --chdir=/ find "$folder" -mindepth 1 -maxdepth 1 -type f -delete
    did "removed the half of a format from $folder"
  done <"$service_dir/formatting"
  unlink "$service_dir/formatting"
}

storage_is_gone() { fail "$FAILED" "the storage of cluster $(<"$service_dir/cluster-id") is gone from $1: mount its disk, or purge the service to begin anew"; }

belongs_here() { # belongs_here FOLDER: storage is of this cluster and this node, and of KRaft or ZooKeeper as the document says
  local key value number=node.id other=broker.id
  ! with_zookeeper || { number=broker.id && other=node.id; }
  while IFS='=' read -r key value; do
    case $key in
      cluster.id) [[ -z ${PARAM[cluster_id]} || $value == "${PARAM[cluster_id]}" ]] || fail "$DOCUMENT_WRONG" "parameter cluster_id: $1 is of cluster $value" ;;
      "$number") [[ $value == "${PARAM[node_id]}" ]] || fail "$DOCUMENT_WRONG" "parameter node_id: $1 is of node $value" ;;
      "$other") fail "$DOCUMENT_WRONG" "parameter zookeeper_connect: $1 was written $([[ $other == node.id ]] && echo by KRaft || echo with ZooKeeper), and is not turned into the other" ;;
    esac
  done <"$1/meta.properties"
}

random_id() { # -> REPLY: a cluster's id, as kafka-storage.sh random-uuid makes it
  REPLY=$(head -c 16 /dev/urandom | base64)
  REPLY=${REPLY//+/-} REPLY=${REPLY//\//_}
  REPLY=A${REPLY:1:21}
}

# kafka_tool NAME WORD...: one of upstream's own, by this service's Java, as its account, in a folder that all may be in.
kafka_tool() {
  local java
  java_program && java=$REPLY
  as_account env --chdir=/ -i PATH=/usr/local/bin:/usr/bin:/bin "HOME=$data" "LOG_DIR=$log_dir" KAFKA_HEAP_OPTS=-Xmx256m "JAVA_HOME=${java%/bin/java}" \
    timeout 120 "$current/bin/$1.sh" "${@:2}" </dev/null
}

# raise_metadata: to the parameter metadata_version, the only way in which it ever goes up. The broker answers by now.
raise_metadata() {
  local words before=''
  local -a way=(--release-version)
  [[ -n ${PARAM[metadata_version]} ]] || return 0
  if [[ -r $run/metadata-version ]]; then before=$(<"$run/metadata-version"); fi
  [[ $before != "${PARAM[metadata_version]}" ]] || return 0
  [[ ${INSTALLED[program]} != 3.* ]] || way=(--metadata)
  reachable "${PARAM[bind]}" && [[ $REPLY != *:* ]] || REPLY="[$REPLY]"
  words=$(kafka_tool kafka-features --bootstrap-server "$REPLY:${PARAM[port]}" upgrade "${way[@]}" "${PARAM[metadata_version]}" 2>&1) ||
    fail "$FAILED" "the metadata is not raised to ${PARAM[metadata_version]}: ${words: -600}"
  put "$run/metadata-version" <<<"${PARAM[metadata_version]}"
}
