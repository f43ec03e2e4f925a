# shellcheck shell=bash
# token.sh: reading the join token. Its secret stays in this process: no argument, no environment, no log, no file.

declare TOKEN=''  # the line itself, for `enroll` on its standard input
declare -A WHO=() # host backend_url expires_at agentctl agent size version; digests as 64 hex digits
readonly TOKEN_START=towline-join-1. TOKEN_BYTES=16384

# take_token: from --token-file, standard input, or a person who pastes it. False when there is none.
take_token() {
  local from=${OPTIONS['token-file']--}
  if [[ $from == - && -t 0 ]]; then
    ! is_enrolled || return 1
    printf 'Paste the join token (it is not shown): ' >&2
    IFS= read -rs TOKEN || :
    note ''
  elif [[ $from == - ]]; then
    IFS= read -r -d '' -n "$((TOKEN_BYTES + 1))" TOKEN || :
  else
    [[ -f $from || -p $from ]] || fail "$BAD_ARGUMENTS" "there is no file ${from@Q} with a join token"
    { IFS= read -r -d '' -n "$((TOKEN_BYTES + 1))" TOKEN <"$from"; } 2>/dev/null || [[ -r $from ]] || fail "$PERMISSION" "${from@Q} cannot be read"
  fi
  TOKEN=${TOKEN#"${TOKEN%%[![:space:]]*}"}
  TOKEN=${TOKEN%"${TOKEN##*[![:space:]]}"}
  [[ -n $TOKEN ]]
}

# read_token: TOKEN into WHO. Strict: what is cut off or changed on its way is refused, and never shown.
read_token() {
  local text json padded
  local -r again='invite the host again, or copy the whole line'
  [[ $TOKEN == "$TOKEN_START"* && ${#TOKEN} -le $TOKEN_BYTES ]] ||
    fail "$BAD_ARGUMENTS" "this is not a join token; one starts with $TOKEN_START"
  text=${TOKEN#"$TOKEN_START"}
  [[ $text =~ ^[A-Za-z0-9_-]+$ ]] || fail "$BAD_ARGUMENTS" "the join token is cut off or changed: $again"
  padded=${text//-/+} padded=${padded//_//}
  while ((${#padded} % 4)); do padded+='='; done
  json=$(base64 -d < <(printf '%s' "$padded") 2>/dev/null | tr -d '\0') || json=''
  # The whole of it is one flat object, with nothing before, between or after.
  [[ $json =~ ^\{(\"[a-z_]+\":(\"[^\"\\]*\"|[0-9]+),)*\"[a-z_]+\":(\"[^\"\\]*\"|[0-9]+)\}$ ]] ||
    fail "$BAD_ARGUMENTS" "the join token is cut off or changed: $again"
  WHO=()
  token_field id '"([A-Za-z0-9_-]{8,64})"'
  token_field host '"([a-z0-9][a-z0-9.-]{0,252})"'
  token_field backend_url '"(https?://[^" ]{1,2000})"'
  token_field trust_digest '"(sha256:[0-9a-f]{64})"'
  token_field secret '"[A-Za-z0-9_-]{32,128}"'
  token_field expires_at '"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}(Z|[+-][0-9]{2}:[0-9]{2}))"'
  token_field agentctl_digest '"sha256:([0-9a-f]{64})"' may
  token_field agent_digest '"sha256:([0-9a-f]{64})"' may
  token_field agent_size '([1-9][0-9]{0,11})' may
  token_field agent_version '"([0-9A-Za-z][0-9A-Za-z._+~-]{0,63})"' may
  WHO[backend_url]=${WHO[backend_url]%/}
}

# token_field NAME VALUE [may]: of `json` into WHO.
token_field() {
  if [[ $json =~ [\{,]\"$1\":$2[,\}] ]]; then
    WHO[$1]=${BASH_REMATCH[1]-}
  elif [[ ${3-} != may ]]; then
    fail "$BAD_ARGUMENTS" "the join token has no proper $1: $again"
  elif [[ $json == *"\"$1\":"* && $json != *"\"$1\":\"\""* ]]; then
    fail "$BAD_ARGUMENTS" "the join token has no proper $1: $again"
  fi
}

# own_digest_fits: this very script is the one that the token names. The pasted command checks it before running it; here
# it is for whoever runs a copy that was laid by hand.
own_digest_fits() {
  local own said
  [[ -n ${WHO[agentctl_digest]-} ]] || return 0
  own=$(readlink -f -- "${BASH_SOURCE[-1]}") && [[ -f $own ]] || return 0 # read from a pipe
  said=$(sha256sum <"$own") && [[ ${said%% *} != "${WHO[agentctl_digest]}" ]] || return 0
  fail "$DOCUMENT_WRONG" "this script (${own}) is not the one that the join token names (sha256 ${WHO[agentctl_digest]}): it was changed, or is of another version. Run the command that \`towline host invite ${WHO[host]}\` prints"
}

# token_left NOW -> REPLY: seconds until it expires, negative afterwards.
token_left() {
  local until
  until=$(date -u -d "${WHO[expires_at]}" +%s 2>/dev/null) || fail "$BAD_ARGUMENTS" "the join token has no proper time of expiry"
  REPLY=$((until - $1))
}

# is_enrolled [HOST BACKEND_URL]: an enrolment was finished below this prefix (of that host, with that backend).
is_enrolled() {
  [[ -e $prefix/etc/puller.toml && -e $prefix/state/trust.note && -e $prefix/state/keys/identity ]] || return 1
  ! is_half_enrolled || return 1
  (($#)) || return 0
  setting host && [[ $REPLY == "$1" ]] && setting backend_url && [[ ${REPLY%/} == "$2" ]]
}

# is_half_enrolled: `enroll --force` was cut off while it replaced one identity by another: what is here is of both. The
# mark of the former goes first, that of the new one comes last.
is_half_enrolled() { [[ -e $prefix/state/keys.pending/token && ! -e $prefix/state/keys/token ]]; }

# goes_on_enrolling: the token is the one whose enrolment was begun here and not finished; the same token finishes it.
goes_on_enrolling() {
  local begun=''
  [[ -n ${WHO[id]-} && -r $prefix/state/keys.pending/token ]] || return 1
  read -r begun <"$prefix/state/keys.pending/token" || :
  [[ $begun == "${WHO[id]}" ]]
}

# setting NAME -> REPLY: a text of the settings file, as enroll writes it.
setting() {
  local line
  REPLY=''
  [[ -r $prefix/etc/puller.toml ]] || return 1
  while IFS= read -r line; do
    [[ $line != \[* ]] || return 1
    [[ ! $line =~ ^$1\ =\ \"([^\"\\]*)\"$ ]] || { REPLY=${BASH_REMATCH[1]} && return 0; }
  done <"$prefix/etc/puller.toml"
  return 1
}
