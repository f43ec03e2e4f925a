# shellcheck shell=bash
# bytes.sh: binary protocols over the connection LINE of probe.sh. Numbers are big-endian.

# send_hex HEX: the bytes that these digits mean.
send_hex() {
  local escaped=''
  local -i at
  for ((at = 0; at < ${#1}; at += 2)); do escaped+="\\x${1:at:2}"; done
  printf '%b' "$escaped" >&"$LINE"
}

# read_bytes COUNT: sets BYTES to so many numbers from 0 to 255; false when they do not come in time. One process.
declare -a BYTES=()
read_bytes() {
  BYTES=()
  read -rd '' -a BYTES < <(exec timeout "$PROBE_TIMEOUT_S" od -An -v -tu1 "-N$1" <&"$LINE" 2>/dev/null) || :
  ((${#BYTES[@]} == $1))
}

# read_length -> REPLY: the next four bytes, as a number. Without a process: what follows is not touched.
read_length() {
  local byte
  local -i index number=0 value
  for ((index = 0; index < 4; index++)); do
    IFS= read -r -d '' -n 1 -t "$PROBE_TIMEOUT_S" -u "$LINE" byte || return 1
    printf -v value '%d' "'$byte" # nothing is the byte 0
    number=$((number << 8 | (value & 255)))
  done
  REPLY=$number
}

# number_at PLACE SIZE -> REPLY: the signed number of so many of the BYTES.
number_at() {
  local -i index number=${BYTES[$1]}
  ((number < 128)) || number=$((number - 256))
  for ((index = $1 + 1; index < $1 + $2; index++)); do number=$((number << 8 | BYTES[index])); done
  REPLY=$number
}
