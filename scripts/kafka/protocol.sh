# shellcheck shell=bash
# protocol.sh: two questions in Kafka's own protocol, spoken by bash: a call of Kafka's tools would cost seconds of CPU.
# https://kafka.apache.org/protocol: size, then API, version, correlation and client of a request; correlation of an answer.

readonly METADATA=3 DESCRIBE_QUORUM=55
readonly ANSWER_MAX=16384 # bytes that are looked at: about 400 partitions with three replicas

# kafka_ask ADDRESS PORT API VERSION BODY: BODY in hex; sets BYTES to the answer from its correlation on, and ANSWER_SIZE.
declare -i ANSWER_SIZE=0
kafka_ask() {
  local frame
  printf -v frame '%04x%04x00000001%04x%s' "$3" "$4" 7 746f776c696e65 # towline
  frame+=$5
  reachable "$1"
  connect "$REPLY" "$2" || return 1
  printf -v REPLY '%08x' "$((${#frame} / 2))"
  send_hex "$REPLY$frame" || return 1
  read_bytes 4 || return 1
  number_at 0 4 && ANSWER_SIZE=$REPLY
  ((ANSWER_SIZE > 8)) || return 1
  read_bytes "$((ANSWER_SIZE < ANSWER_MAX ? ANSWER_SIZE : ANSWER_MAX))" || return 1
  hang_up
}

# ask_metadata: sets BROKERS (" 1 2 3 "), LEADERLESS and LAGGING (numbers of partitions). Where the answer is larger than
# what is looked at, the partitions are not counted.
declare BROKERS=''
declare -i LEADERLESS=0 LAGGING=0 at=0
ask_metadata() {
  local -i brokers topics partitions replicas insync
  BROKERS=' ' LEADERLESS=0 LAGGING=0
  kafka_ask "${PARAM[bind]}" "${PARAM[port]}" "$METADATA" 1 ffffffff || return 1 # of all topics
  number_at 4 4 && brokers=$REPLY at=8
  for (( ; brokers > 0; brokers--)); do
    number_at "$at" 4 && BROKERS+="$REPLY " at+=4
    skip_text # host
    at+=4     # port
    skip_text # rack
  done
  ((ANSWER_SIZE == ${#BYTES[@]})) || return 0
  number_at "$((at + 4))" 4 && topics=$REPLY at+=8 # after the controller
  for (( ; topics > 0; topics--)); do
    at+=2 && skip_text && at+=1 # error, name, whether it is internal
    number_at "$at" 4 && partitions=$REPLY at+=4
    for (( ; partitions > 0; partitions--)); do # error 2, number 4, leader 4, replicas, in sync
      ((LEADERLESS += BYTES[at + 6] > 127, at += 10)) || :
      ((replicas = BYTES[at + 2] << 8 | BYTES[at + 3], at += 4 + 4 * replicas)) || :
      ((insync = BYTES[at + 2] << 8 | BYTES[at + 3], at += 4 + 4 * insync)) || :
      ((LAGGING += insync < replicas)) || :
    done
  done
}

skip_text() { number_at "$at" 2 && at+=2 && ((REPLY < 0)) || at+=REPLY; }

# ask_quorum ADDRESS PORT -> REPLY: the leader of the controllers; sets SILENT (" 2 3") to those that the leader, by its own
# clock, has not been asked anything by for so long, or never. A broker passes the question on to the leader itself, so
# without one there is no answer in time; a controller that is not the leader answers -1.
readonly SILENT_AFTER_MS=10000
declare SILENT=''
ask_quorum() {
  local -r cluster_metadata=5f5f636c75737465725f6d65746164617461 # the name of the log that they share
  local -i at=51 voters clock=0 leader
  local -a ids=() asked=()
  SILENT='' REPLY=-1
  # header: no tags; body: one topic with one partition, 0; each part with no tags
  kafka_ask "$1" "$2" "$DESCRIBE_QUORUM" 1 "000213${cluster_metadata}0200000000000000" || return 1
  REPLY=-1
  if ((${#BYTES[@]} < 51 || BYTES[5] | BYTES[6] | BYTES[32] | BYTES[33])); then return 0; fi # errors, of all and of the partition
  number_at 34 4 && leader=$REPLY
  for ((voters = BYTES[50] - 1; voters > 0; voters--, at += 29)); do # number 4, end of its log 8, asked 8, was up to date 8, no tags 1
    number_at "$at" 4 && ids+=("$REPLY")
    number_at "$((at + 12))" 8 && asked+=("$REPLY")
    number_at "$((at + 20))" 8
    ((REPLY <= clock)) || clock=$REPLY # the leader's own is its clock
  done
  for at in "${!ids[@]}"; do
    ((ids[at] == leader || clock - asked[at] <= SILENT_AFTER_MS)) || SILENT+=" ${ids[at]}"
  done
  REPLY=$leader
}
