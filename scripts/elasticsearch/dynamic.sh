# shellcheck shell=bash
# dynamic.sh: what a running cluster is told without a restart: the watermarks. Its master judges by them for all nodes, so
# they are told as a setting of the cluster, which counts more than the file of any node.

readonly MARK=cluster.routing.allocation.disk.watermark
declare -a KEPT_MARKS=() # low, high, flood_stage as the cluster keeps them; empty where it does not

# cluster_http METHOD BODY -> REPLY: /_cluster/settings is asked or told.
cluster_http() {
  local header='' request="$1 /_cluster/settings?flat_settings=true HTTP/1.0"$'\r\n'
  password_header && header=$REPLY
  request+="${header:+$header$'\r\n'}"
  [[ -z $2 ]] || request+="Content-Type: application/json"$'\r\n'"Content-Length: ${#2}"$'\r\n'
  reachable "${PARAM[bind]}"
  http_answer "$REPLY" "${PARAM[port]}" "$request"$'\r\n'"$2" || fail "$FAILED" "does not answer when /_cluster/settings is $([[ $1 == GET ]] && echo asked || echo told)"
  [[ $HTTP_STATUS == 200 ]] || fail "$FAILED" "/_cluster/settings answers HTTP $HTTP_STATUS: ${REPLY:0:300}"
}

kept_marks() { # sets KEPT_MARKS
  local name kept
  cluster_http GET ''
  kept=${REPLY%%\"transient\"*}
  KEPT_MARKS=()
  for name in low high flood_stage; do
    if [[ $kept =~ \"$MARK.$name\":\"([^\"]*)\" ]]; then KEPT_MARKS+=("${BASH_REMATCH[1]}"); else KEPT_MARKS+=(''); fi
  done
}

# declared_marks -> MARKS: as tell_marks wants them.
declare -a MARKS=()
declared_marks() {
  local -a numbers=()
  MARKS=('' '' '')
  [[ -n ${PARAM[watermarks]} ]] || return 0
  read -ra numbers <<<"${PARAM[watermarks]}"
  MARKS=("${numbers[@]/%/%}")
}

# tell_marks: MARKS are the cluster's from now on; where they are empty, those of its files.
tell_marks() {
  local body='' name
  local -i index=0
  since 6 || MARKS[2]='' # which Elasticsearch 5 does not know
  [[ ${MARKS[*]} != "${KEPT_MARKS[*]}" ]] || return 0
  for name in low high flood_stage; do
    if [[ $name != flood_stage ]] || since 6; then
      body+=",\"$MARK.$name\":$([[ -n ${MARKS[index]} ]] && echo "\"${MARKS[index]}\"" || echo null)"
    fi
    index+=1
  done
  cluster_http PUT "{\"persistent\":{${body#,}}}"
  kept_marks
  [[ ${MARKS[*]} == "${KEPT_MARKS[*]}" ]] || fail "$FAILED" "the watermarks are not what the cluster was told: ${KEPT_MARKS[*]}"
  [[ -n ${MARKS[0]} ]] || MARKS=('those of its files')
  did "told the cluster its watermarks: ${MARKS[*]}"
}

# marks_are_true: after a start. What the cluster was told once counts more than the files that its nodes are started with;
# where nothing is declared, only what this script has told is taken back.
marks_are_true() {
  local -r note=$service_dir/marks-told
  [[ -n ${PARAM[watermarks]} || -e $note ]] || return 0
  kept_marks
  [[ -n ${KEPT_MARKS[0]}${KEPT_MARKS[1]}${KEPT_MARKS[2]} ]] || return 0
  declared_marks
  tell_marks
  [[ -n ${PARAM[watermarks]} ]] || unlink "$note"
}

# reload: what needs more than that is refused. The files of secrets are no parameters: it is noted which it was started with.
reload() {
  need_installed
  running || fail "$FAILED" "$service does not run"
  ! needs_restart || fail "$NOT_INSTALLED" "needs a restart, not a reload: $REPLY"
  secrets_digest
  [[ -r $run/secrets-started && $REPLY == "$(<"$run/secrets-started")" ]] || fail "$NOT_INSTALLED" 'needs a restart, not a reload: its secrets'
  declared_marks
  [[ -n ${PARAM[watermarks]} ]] || former_marks
  kept_marks
  put "$service_dir/marks-told" <<<"${MARKS[*]}"
  tell_marks
  to_seconds "${PARAM[start_timeout]}" && wait_healthy "$REPLY"
  reloaded
}

# former_marks: none are declared any more, but its process may have been started with some: until its next start the numbers
# that the software begins with stand in for none.
former_marks() {
  recorded_parameters "$run/launch/parameters" || :
  [[ -z ${PARAM[watermarks]-} ]] || MARKS=('85%' '90%' '95%')
  recorded_parameters
}

secrets_digest() { # -> REPLY: of the files that hold what is secret; they are salted, or keys
  local file words=''
  for file in "$etc/keystore.digest" "$etc/transport.key" "$etc/password"; do [[ ! -r $file ]] || words+=$(sha256sum <"$file"); done
  REPLY=$(sha256sum <<<"$words")
}
