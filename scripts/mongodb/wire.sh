# shellcheck shell=bash
# wire.sh: MongoDB's own protocol, spoken by bash: a call of mongosh would cost two seconds, and the server's archive has none.
# OP_MSG with one document (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol), BSON (https://bsonspec.org).
# Documents to be sent are made in hex, from their elements; numbers are little-endian.

readonly BSON_MOST=262144 # bytes of an answer that are looked at: a set has 50 members at most

hex_of() { # hex_of TEXT -> REPLY
  local digits=''
  local -i at
  for ((at = 0; at < ${#1}; at++)); do
    printf -v REPLY '%d' "'${1:at:1}"
    printf -v REPLY '%02x' "$((REPLY & 255))"
    digits+=$REPLY
  done
  REPLY=$digits
}

hex_number() { # hex_number NUMBER -> REPLY: 32 bits
  printf -v REPLY '%02x%02x%02x%02x' "$(($1 & 255))" "$(($1 >> 8 & 255))" "$(($1 >> 16 & 255))" "$(($1 >> 24 & 255))"
}

# bson TYPE NAME VALUE ... -> REPLY: the elements. TYPE is text, int, true, bytes (VALUE a text), or doc, list (VALUE elements in hex).
bson() {
  local all='' name value
  while (($#)); do
    hex_of "$2" && name=${REPLY}00
    case $1 in
      text) hex_number "$((${#3} + 1))" && value=$REPLY && hex_of "$3" && all+=02$name$value${REPLY}00 ;;
      bytes) hex_number "${#3}" && value=$REPLY && hex_of "$3" && all+=05$name${value}00$REPLY ;;
      int) hex_number "$3" && all+=10$name$REPLY ;;
      true) all+=08${name}01 ;;
      doc) bson_whole "$3" && all+=03$name$REPLY ;;
      list) bson_whole "$3" && all+=04$name$REPLY ;;
      *) fail "$FAILED" "no type of BSON: $1" ;;
    esac
    shift 3
  done
  REPLY=$all
}

bson_whole() { hex_number "$((${#1} / 2 + 5))" && REPLY=$REPLY${1}00; } # bson_whole ELEMENTS -> REPLY: the document

# The answer: ANSWER (values by their paths, such as members.0.name), FIRST and LAST (where each value lies in BYTES: its
# element's first byte, the value's first byte, and the byte behind it).
declare -A ANSWER=() ELEMENT=() FIRST=() LAST=()

little_at() { # little_at PLACE SIZE -> REPLY: a number, signed where it has 8 bytes
  local -i index number=0
  for ((index = $1 + $2 - 1; index >= $1; index--)); do number=$((number << 8 | BYTES[index])); done
  REPLY=$number
}

text_at() { # text_at PLACE SIZE -> REPLY; a NUL ends it
  REPLY=''
  (($2 > 0)) || return 0
  printf -v REPLY '\\x%02x' "${BYTES[@]:$1:$2}"
  printf -v REPLY '%b' "${REPLY%%\\x00*}"
}

# whole_double PLACE -> REPLY: the whole part, which is all that ok and health have.
whole_double() {
  local -i exponent fraction
  exponent=$(((BYTES[$1 + 7] & 127) << 4 | BYTES[$1 + 6] >> 4))
  little_at "$1" 6
  fraction=$((1 << 52 | (BYTES[$1 + 6] & 15) << 48 | REPLY))
  REPLY=0
  ((exponent < 1023 || exponent > 1075)) || REPLY=$((fraction >> (1075 - exponent)))
}

# bson_read PLACE PATH: the document at that place, into ANSWER. False where it is none.
bson_read() {
  local name type path value
  local -i at=$1 end from size
  little_at "$at" 4
  ((REPLY >= 5 && at + REPLY <= ${#BYTES[@]})) || return 1
  end=$((at + REPLY - 1)) at=$((at + 4))
  while ((at < end)); do
    type=${BYTES[at]} from=$at
    for ((size = ++at; at < end && BYTES[at]; at++)); do :; done
    text_at "$size" "$((at - size))" && name=$REPLY
    path=$2$name at=$((at + 1)) value='' size=0
    [[ $path =~ ^[A-Za-z0-9_.\$-]+$ ]] || return 1
    case $type in
      1) whole_double "$at" && value=$REPLY size=8 ;;
      2) little_at "$at" 4 && size=$((REPLY + 4)) && text_at "$((at + 4))" "$((size - 5))" && value=$REPLY ;;
      3 | 4) little_at "$at" 4 && size=$REPLY && { bson_read "$at" "$path." || return 1; } ;;
      5) little_at "$at" 4 && size=$((REPLY + 5)) && text_at "$((at + 5))" "$REPLY" && value=$REPLY ;;
      6 | 10) ;;
      7) size=12 ;;
      8) value=true size=1 && ((BYTES[at])) || value=false ;;
      9 | 17 | 18) little_at "$at" 8 && value=$REPLY size=8 ;;
      16) little_at "$at" 4 && value=$REPLY size=4 && ((value < 1 << 31)) || value=$((value - (1 << 32))) ;;
      19) size=16 ;;
      *) return 1 ;;
    esac
    ((size >= 0 && at + size <= end)) || return 1
    ANSWER[$path]=$value ELEMENT[$path]=$from FIRST[$path]=$at at=$((at + size)) LAST[$path]=$at
  done
}

# raw PATH [whole] -> REPLY: the value of the answer, as it came, in hex; whole: its element, with type and name.
raw() {
  local -i from=${FIRST[$1]} to=${LAST[$1]}
  [[ $# == 1 ]] || from=${ELEMENT[$1]}
  printf -v REPLY '%02x' "${BYTES[@]:from:to-from}"
}

# command_of DATABASE ELEMENTS: over LINE. ANSWER is what it says; false when that is an error (its words in REPLY) or nothing in time.
command_of() {
  local frame
  bson text "\$db" "$1"
  bson_whole "$2$REPLY"
  frame=0000000000000000dd0700000000000000$REPLY # request, answer to, OP_MSG, no flags, one document
  hex_number "$((${#frame} / 2 + 4))"
  ANSWER=() ELEMENT=() FIRST=() LAST=()
  send_hex "$REPLY$frame" 2>/dev/null || { REPLY='the connection has ended' && return 1; }
  read_bytes 4 || { REPLY="no answer within $PROBE_TIMEOUT_S s" && return 1; }
  little_at 0 4
  if ((REPLY < 26 || REPLY > BSON_MOST)) || ! read_bytes "$((REPLY - 4))" || ! bson_read 17 ''; then
    REPLY='an answer that is no document' && return 1
  fi
  [[ ${ANSWER[ok]-} == 1 ]] || { REPLY=${ANSWER[errmsg]-an error without words} && return 1; }
}

# ask_hello [HOST PORT]: of our own server, where none is said. LINE stays open.
ask_hello() {
  connect "${1-127.0.0.1}" "${2-${PARAM[port]}}" || { REPLY='refuses the connection' && return 1; }
  bson int hello 1
  command_of admin "$REPLY"
}

# knock HOST PORT: whether that port answers. Another host may be gone, which bash itself would wait for minutes to learn.
knock() { timeout 3 bash "$COMMON/mongodb/knock.sh" "$1" "$2" 2>/dev/null; }
