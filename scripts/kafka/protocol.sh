# shellcheck shell=bash
# protocol.sh: three questions in Kafka's own protocol, spoken by bash: a call of Kafka's tools would cost seconds of CPU.
# https://kafka.apache.org/protocol: size, then API, version, correlation and client of a request; correlation of an answer.

readonly METADATA=3 DESCRIBE_CLUSTER=60 UNSUPPORTED_VERSION=35
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

# ask_leader -> REPLY: the leader of the controllers as this one knows it; -1 when it knows none, nothing where a Kafka
# before 3.7 cannot be asked.
ask_leader() {
  # header: no tags; body: no list of what is allowed, of the controllers (2), no tags
  kafka_ask "${PARAM[controller_bind]}" "${PARAM[controller_port]}" "$DESCRIBE_CLUSTER" 1 00000200 || return 1
  number_at 9 2 # after correlation, tags and throttle
  [[ $REPLY != "$UNSUPPORTED_VERSION" ]] || { REPLY='' && return 0; }
  local -i place=11
  ((place += BYTES[11] > 0 ? BYTES[11] : 1)) # the error's words: their number and one, then they
  ((place += 1))                             # of the controllers
  ((place += BYTES[place])) || :             # the cluster's id, in the same way
  number_at "$place" 4
}
