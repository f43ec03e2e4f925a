# shellcheck shell=bash
# fetch.sh: the archive by its digest, from a folder or over HTTP; resumed where it broke off, verified before use.

readonly FETCH_TRIES=6 # in a row without a byte more

# fetch_archive HEX SIZE -> REPLY: the verified file. SIZE in bytes, 0 when the token names none.
fetch_archive() {
  local -r hex=$1 size=$2
  local base
  local -a tried=()
  for base in ${FROM[@]+"${FROM[@]}"} "$prefix/incoming" "${WHO[backend_url]}/v1/agent"; do
    case $base in
      http://* | https://*) ! fetch_web "$base" || return 0 ;;
      *) ! fetch_folder "$base" || return 0 ;;
    esac
    [[ -n $REPLY ]] || continue
    tried+=("$(shown "$base"): $REPLY")
    note "$(shown "$base"): $REPLY"
  done
  ((${#tried[@]})) || tried=('nowhere')
  printf -v base '; %s' "${tried[@]}"
  fail "$FAILED" "the archive of the agent (sha256 $hex) cannot be had: ${base:2}"
}

shown() { # a place without the user and password in it
  if [[ $1 =~ ^([a-z]+://)[^/@]*@(.*)$ ]]; then printf '%s' "${BASH_REMATCH[1]}${BASH_REMATCH[2]}"; else printf '%s' "$1"; fi
}

# fetch_folder PLACE -> REPLY: a file or a folder that holds it, under its digest or any name. Else false and why.
fetch_folder() {
  local file
  for file in "$1" "$1/sha256/$hex" "$1/$hex" "$1"/*; do
    [[ -f $file && -r $file ]] || continue
    ! is_archive "$file" || { note "Taking $file" && REPLY=$file && return 0; }
  done
  REPLY=''
  [[ $1 == "$prefix/incoming" ]] || REPLY='has no file with that digest'
  return 1
}

is_archive() { # is_archive FILE: the size first, which costs nothing
  local said
  ((size == 0)) || [[ $(stat -Lc %s -- "$1") == "$size" ]] || return 1
  said=$(sha256sum <"$1") && [[ ${said%% *} == "$hex" ]]
}

# fetch_web BASE -> REPLY: the file from BASE/sha256/HEX, by way of agent/parts. Else false and why.
fetch_web() {
  local -r url=$1/sha256/$hex part=$agent/parts/$hex
  mkdir -p "$agent/parts"
  [[ ! -L $part ]] || unlink "$part"
  if [[ -e $part ]] && is_archive "$part"; then REPLY=$part && return 0; fi
  space_for_part || return 1
  note "Downloading $(shown "$url")${size:+ ($(((size + 524288) / 1048576)) MiB)}"
  download || return 1
  if ! is_archive "$part"; then
    REPLY="REFUSED: what came is not the archive that the token names ($(stat -c %s "$part") bytes, sha256 $(sha256sum <"$part" | cut -c 1-64))"
    unlink "$part"
    return 1
  fi
  sync "$part"
  REPLY=$part
}

# space_for_part: for the rest of the archive, and its contents.
space_for_part() {
  local -i need=$((size > 0 ? size / 1024 : UNKNOWN_KIB))
  ((need = need * (UNPACKED_TIMES + 1))) || :
  [[ ! -e $part ]] || ((need -= $(stat -c %s "$part") / 1024)) || :
  free_kib "$agent/parts"
  ((REPLY >= need)) || { REPLY="not begun: $agent has $((REPLY / 1024)) MiB free, $((need / 1024)) MiB are needed" && return 1; }
}

# download -> part: until it is whole. What broke off is gone on with; a server that cannot do that begins anew.
download() {
  local -i before now most=0 pause=1 without=0
  local code said='' first='' CA_FILE=${OPTIONS['ca-file']-$OWN_CA}
  while :; do
    before=$(part_bytes) code=0
    [[ $size == 0 || $before -lt $size ]] || { unlink "$part" && before=0; } # it is not the archive: that was looked at
    one_download || code=$?
    now=$(part_bytes) said=$(tr -d '\0' <"$part.said") && unlink "$part.said"
    ((size == 0 || now <= size)) || { unlink "$part" && REPLY="REFUSED: sends more than the $size bytes that the token names" && return 1; }
    ((code)) || return 0
    ((now)) || [[ ! -e $part ]] || unlink "$part" # wget makes it before it asks
    if is_about_certificates "$said"; then
      if [[ -n $CA_FILE ]]; then CA_FILE='' first=$said && continue; fi # one that the system's vouch for will do
      said=${first:-$said}
    fi
    another_try_helps || return 1
    if ((now > most)); then most=$now pause=1 without=0; else without+=1; fi
    if ((without >= FETCH_TRIES)); then
      explain_web "$url" "$said"
      REPLY+=". Gave up after $FETCH_TRIES tries; what came so far ($now bytes) is kept for the next one"
      return 1
    fi
    note "  broke off at $now bytes; goes on in $pause s"
    sleep "$pause"
    ((pause = pause < 16 ? pause * 2 : 30))
  done
}

part_bytes() { stat -c %s "$part" 2>/dev/null || echo 0; }

# another_try_helps: with `code` and what was `said`; else REPLY says why not.
another_try_helps() {
  case $code:$said in
    *'annot resume'* | *'efusing to truncate'* | *' 416' | *' 416'[!0-9]*) unlink "$part" 2>/dev/null || : ;; # no ranges there: from the start
    22:*' 404' | 22:*' 404'[!0-9]* | 8:*' 404' | 8:*' 404'[!0-9]*) REPLY='has no such file (404)' && return 1 ;;
    22:*' 5'[0-9][0-9]* | 8:*' 5'[0-9][0-9]* | 22:*' 429'* | 8:*' 429'*) ;;
    22:* | 8:*) REPLY="will not give it: $(last_line "$said")" && return 1 ;;
    23:* | *'ailure writing'* | *'No space'*) REPLY="cannot be written to $part: is the disk full?" && return 1 ;;
    60:* | 77:* | *' 407' | *' 407'[!0-9]* | *'roxy Authentication'* | 5:*ertificate*) explain_web "$url" "$said" && return 1 ;;
  esac
}

# one_download: one connection, from where the part ends. Whatever the other side sends, no more is written than what
# shows that it is too much.
DOWNLOADING=''
one_download() {
  if has curl; then
    web_command curl --fail -C - --speed-limit 1 --speed-time "$WEB_SILENT_S" -o "$part" "$url"
  else
    web_command wget -c -O "$part" "$url"
  fi
  (
    trap '' XFSZ
    ((size == 0)) || ulimit -f "$((size / 1024 + 1))"
    exec "${COMMAND[@]}"
  ) 2>"$part.said" 7>&- &
  DOWNLOADING=$!
  watch_download
  local code=0
  wait "$DOWNLOADING" || code=$?
  DOWNLOADING=''
  return "$code"
}

# watch_download: on a terminal a figure that counts up, else a line for each tenth.
watch_download() {
  local -i told=10 now
  ((size == 0)) || told=$(($(part_bytes) * 10 / size))
  while kill -0 "$DOWNLOADING" 2>/dev/null; do
    sleep 0.2
    ((size > 0)) || continue
    now=$(($(part_bytes) * 100 / size))
    if [[ -t 2 ]]; then
      printf '\r  %3d %%\r' "$now" >&2
    elif ((now / 10 > told && now < 100)); then
      told=$((now / 10))
      note "  $now %"
    fi
  done
}
