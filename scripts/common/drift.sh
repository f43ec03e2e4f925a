# shellcheck shell=bash
# drift.sh: what somebody changed by hand in the configuration files, as keys: `my.cnf: mysqld.max_connections = 151 -> 500`.
#
# The last word of configure keeps below run/written what it wrote, as keys and values; of what is secret only a digest,
# made with a random word that never leaves the host. check_status reads that, and the files, if and only if the digest
# over the files is another one than it was then. Where nothing drifted, looking costs the reading of one line.

readonly DRIFT_MAX_FACTS=20 DRIFT_MAX_CHARS=200 DRIFT_MAX_BYTES=65536 DRIFT_MAX_LINE=4096
readonly NOT_SHOWN='(secret) ' # before the digest of a value
readonly SECRET_KEY='pass(w|$|[^a-z])|passwd|pwd|passphrase|requirepass|secret|token|credential|private.?key|(api|access|identity)[._-]?key|identity[._-]?value|jaas|masterauth|authorization|identified'
readonly SECRET_VALUE='(password|passwd|pwd|secret|token)["'\'']? *[=:]|identified|://[^/@ ]*:[^/@ ]*@|(bearer|basic) '

declare -a KEYS=()      # of one file, in its order: `:` and a name, or `=` and a line that has none
declare -A VALUE_OF=()  # by these
declare -a KEPT_KEYS=() # the same, as configure kept it
declare -A KEPT=()
declare -A KEY_TIMES=() # how often a key came
declare -a SECRET_TEXTS=() DRIFT=()
declare HIDE=some HIDING_WORD=''

# keep_written: after config_digest, REPLY stays: the files as configure left them. It changes nothing that a service sees,
# so it does not count as a change.
keep_written() {
  local kept_digest='' file text
  local -r digest=$REPLY folder=$run/written
  local -i number before=$CHANGED
  local -a hashes=("${DIGESTS[@]:0:${#CONFIG_FILES[@]}}")
  if [[ -r $folder/digests ]]; then read -r kept_digest <"$folder/digests" || :; fi
  if [[ $kept_digest == "$digest" ]]; then return 0; fi
  mkdir -p "$folder"
  random_word "$folder/word" && HIDING_WORD=$REPLY
  secret_texts
  text=$digest
  for ((number = 0; number < ${#CONFIG_FILES[@]}; number++)); do
    file=${CONFIG_FILES[number]}
    text+=$'\n'"${hashes[number]} $file"
    keep_one "$file" "$folder/$number"
  done
  lay_down "$folder/digests" "$text"
  CHANGED=$before REPLY=$digest
}

keep_one() { # keep_one FILE COPY
  local key text=''
  KEPT=() HIDE=some
  if read_settings "$1"; then
    for key in "${KEYS[@]+"${KEYS[@]}"}"; do text+="$key"$'\t'"${VALUE_OF[$key]}"$'\n'; done
    lay_down "$2" "${text}end"
  elif [[ -e $2 ]]; then
    unlink "$2"
  fi
}

lay_down() { # lay_down FILE TEXT
  printf '%s\n' "$2" >"$1.new"
  sync "$1.new"
  mv -fT "$1.new" "$1"
}

# secret_texts: each line of each secret of this call, without what a configuration may put before its characters.
secret_texts() {
  local name line
  SECRET_TEXTS=()
  for name in "${!SECRET[@]}"; do
    secret_text "$name"
    while IFS= read -r line; do
      trim "${line//[\\\"\']/}"
      ((${#REPLY} < 4)) || SECRET_TEXTS+=("$REPLY")
    done < <(printf '%s\n' "$REPLY")
  done
}

# drift_facts: after config_digest, where it is another one than configure left.
drift_facts() {
  local hash file name number
  local -A was=() copy=()
  local -i at=0
  DRIFT=()
  [[ ! -r $run/written/word ]] || read -r HIDING_WORD <"$run/written/word"
  while IFS=' ' read -r hash file; do
    [[ -z $file ]] || { was[$file]=$hash && copy[$file]=$at && at+=1; }
  done <"$run/written/digests"
  for ((number = 0; number < ${#CONFIG_FILES[@]}; number++)); do
    file=${CONFIG_FILES[number]} hash=${DIGESTS[number]} name=${CONFIG_FILES[number]#"$etc"/}
    if [[ -z ${was[$file]-} || ${was[$file]} == "$hash" ]]; then
      continue
    elif [[ $hash == missing ]]; then
      DRIFT+=("$name: is gone")
    elif [[ ${was[$file]} == missing ]]; then
      DRIFT+=("$name: is new here")
    else
      compare_settings "$file" "$run/written/${copy[$file]}"
    fi
  done
  for ((number = 0; number < ${#DRIFT[@]} && number < DRIFT_MAX_FACTS - (${#DRIFT[@]} > DRIFT_MAX_FACTS); number++)); do
    fact drift "${DRIFT[number]:0:DRIFT_MAX_CHARS}"
  done
  ((number == ${#DRIFT[@]})) || fact drift "and $((${#DRIFT[@]} - number)) more"
}

compare_settings() { # compare_settings FILE COPY: adds to DRIFT
  local key
  local -i before=${#DRIFT[@]}
  if ! read_copy "$2" || ! read_settings "$1"; then
    DRIFT+=("$name: differs") && return 0
  fi
  for key in "${KEYS[@]+"${KEYS[@]}"}"; do
    if [[ -z ${KEPT[$key]+there} ]]; then
      differs "$key" '' "${VALUE_OF[$key]}" added
    elif [[ ${KEPT[$key]} != "${VALUE_OF[$key]}" ]]; then
      differs "$key" "${KEPT[$key]}" "${VALUE_OF[$key]}" changed
    fi
  done
  for key in "${KEPT_KEYS[@]+"${KEPT_KEYS[@]}"}"; do
    [[ -n ${VALUE_OF[$key]+there} ]] || differs "$key" "${KEPT[$key]}" '' removed
  done
  ((${#DRIFT[@]} > before)) || DRIFT+=("$name: comments, blanks or the order of lines differ, no value")
}

differs() { # differs KEY WAS IS added|changed|removed
  local was='(not set)' is='(not set)'
  case $1 in
    "=$NOT_SHOWN"*) DRIFT+=("$name: a line that is not shown was $4") ;;
    =*) shown_value "${1#=}" && DRIFT+=("$name: line $4: $REPLY") ;;
    *)
      [[ $4 == added ]] || { shown_value "$2" && was=$REPLY; }
      [[ $4 == removed ]] || { shown_value "$3" && is=$REPLY; }
      [[ $was != '(secret)' || $is != '(secret)' ]] || is='(another secret)'
      DRIFT+=("$name: ${1:1:60} = $was -> $is")
      ;;
  esac
}

shown_value() { # shown_value VALUE -> REPLY
  REPLY=$1
  case $1 in
    '') REPLY='(empty)' ;;
    "$NOT_SHOWN"*) REPLY='(secret)' ;;
    *) ((${#1} <= 60)) || REPLY="${1:0:57}..." ;;
  esac
}

# read_copy COPY: sets KEPT, and HIDE: where all that a file holds is secret, so is whatever else somebody writes into it;
# where lines without a key are, then such lines.
read_copy() {
  local line
  local -i all=0 hidden=0 hidden_lines=0
  KEPT=() KEPT_KEYS=()
  [[ -r $1 ]] || return 1
  while IFS= read -r line; do
    [[ $line == *$'\t'* ]] || break
    KEPT_KEYS+=("${line%%$'\t'*}")
    KEPT[${KEPT_KEYS[-1]}]=${line#*$'\t'}
    all+=1
    case $line in
      "=$NOT_SHOWN"*) hidden+=1 hidden_lines+=1 ;;
      *$'\t'"$NOT_SHOWN"*) hidden+=1 ;;
    esac
  done <"$1"
  HIDE=some
  ((hidden_lines == 0)) || HIDE=lines
  ((all == 0 || hidden < all)) || HIDE=all
  [[ $line == end ]]
}

# read_settings FILE: sets KEYS and VALUE_OF; false where there is nothing to read, or too much.
read_settings() {
  KEYS=() VALUE_OF=() KEY_TIMES=()
  [[ -f $1 && -r $1 && $(stat -Lc %s "$1") -le $DRIFT_MAX_BYTES ]] || return 1
  case $1 in
    *.yml | *.yaml) yaml_keys ;;
    *.json) json_keys ;;
    *) line_keys "$1" ;;
  esac < <(tr -d '\000' <"$1")
}

entry() { # entry KEY VALUE
  numbered ":${1//$'\t'/ }"
  local -r key=$REPLY
  local value=$2
  if [[ $HIDE == all || ${KEPT[$key]-} == "$NOT_SHOWN"* ]] || is_secret "$1" "$2"; then hide "$2" && value=$REPLY; fi
  KEYS+=("$key")
  VALUE_OF[$key]=$value
}

line_entry() { # line_entry LINE: one that has no key
  local key="=${1//$'\t'/ }"
  if [[ -z ${KEPT[$key]+there} ]] && { [[ $HIDE != some ]] || is_secret '' "$1"; }; then hide "$1" && key="=$REPLY"; fi
  numbered "$key"
  KEYS+=("$REPLY")
  VALUE_OF[$REPLY]=''
}

numbered() { # numbered KEY -> REPLY: the second one of a name is another key
  local -i times=${KEY_TIMES[$1]-0}
  times+=1
  KEY_TIMES[$1]=$times
  REPLY=$1
  ((times == 1)) || REPLY+=" ($times)"
}

is_secret() { # is_secret KEY VALUE: by its name, by its look, by what this call was given, or too long to tell
  local text
  local -r key=${1,,} value=${2,,} bare=${2//[\\\"\']/}
  [[ ${#2} -le $DRIFT_MAX_LINE && ! $key =~ $SECRET_KEY && ! $value =~ $SECRET_VALUE ]] || return 0
  for text in "${SECRET_TEXTS[@]+"${SECRET_TEXTS[@]}"}"; do [[ $bare != *"$text"* ]] || return 0; done
  return 1
}

hide() { # hide TEXT -> REPLY. Never by a here-document: it may be a file in /tmp
  read -r REPLY _ < <(printf '%s %s' "$HIDING_WORD" "$1" | sha256sum)
  REPLY=$NOT_SHOWN$REPLY
}
