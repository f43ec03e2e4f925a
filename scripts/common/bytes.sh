# shellcheck shell=bash
# bytes.sh: binary protocols over the connection LINE of probe.sh. Numbers are big-endian.

# send_hex HEX: the bytes that these digits mean.
send_hex() {
  local escaped=''
  local -i at
  for ((at = 0; at < ${#1}; at += 2)); do escaped+="\\x${1:at:2}"; done
  printf '%b' "$escaped" >&"$LINE"
}

# read_bytes COUNT: sets BYTES to so many numbers from 0 to 255; false when they do not come in time. What is short costs
# no process; bash reads a socket byte by byte.
declare -a BYTES=()
read_bytes() {
  local byte
  local -i number
  BYTES=()
  if (($1 > 256)); then
    read -rd '' -a BYTES < <(exec timeout "$PROBE_TIMEOUT_S" od -An -v -tu1 "-N$1" <&"$LINE" 2>/dev/null) || :
  else
    while ((${#BYTES[@]} < $1)); do
      IFS= read -r -d '' -n 1 -t "$PROBE_TIMEOUT_S" -u "$LINE" byte || return 1
      printf -v number '%d' "'$byte" # nothing is the byte 0
      BYTES+=($((number & 255)))
    done
  fi
  ((${#BYTES[@]} == $1))
}

# number_at PLACE SIZE -> REPLY: the signed number of so many of the BYTES.
number_at() {
  local -i index number=${BYTES[$1]}
  ((number < 128)) || number=$((number - 256))
  for ((index = $1 + 1; index < $1 + $2; index++)); do number=$((number << 8 | BYTES[index])); done
  REPLY=$number
}
