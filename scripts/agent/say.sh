# shellcheck shell=bash
# say.sh: words for the person at the terminal, and where things are. Functions only, for both faces.

LC_ALL=C # bytes are bytes, whatever a token or an archive holds
# Exit codes: those of the kinds (constant.sh)
DONE=0 FAILED=1 BAD_ARGUMENTS=2 PERMISSION=4 NOT_INSTALLED=5 DOCUMENT_WRONG=6
DEFAULT_PREFIX=/opt/towline
prefix='' agent='' mode='' # mode: systemd, user or cron (find_mode)
declare -a PROBLEMS=()

say() { printf '%s\n' "$*"; }      # what was asked for
note() { printf '%s\n' "$*" >&2; } # what goes on meanwhile

# fail CODE TEXT...: ends the command. In the contract face answer.sh's takes its place.
fail() {
  local -r code=$1 text="${*:2}"
  printf 'agentctl.sh: %s\n' "${text//[[:cntrl:]]/ }" >&2
  exit "$code"
}

# What nobody foresaw still has a reason. The command is shown as it is written here, so no value is shown.
unforeseen() { fail "$FAILED" "unexpected failure in line $1: ${2%%$'\n'*}"; }

problem() { PROBLEMS+=("$*"); } # collected, so that all are said at once

# problems_end TEXT: where there are problems, says all of them and ends the command.
problems_end() {
  local text
  ((${#PROBLEMS[@]})) || return 0
  for text in "${PROBLEMS[@]}"; do printf -- '- %s\n' "${text//[[:cntrl:]]/ }" >&2; done
  fail "$NOT_INSTALLED" "$1"
}

# the_prefix [FOLDER]: sets prefix and agent. Without a folder: the one that this very script lies in, as part of a
# release; else the usual one of this user.
the_prefix() {
  local own
  prefix=${1-}
  if [[ -z $prefix ]]; then
    own=$(readlink -f -- "${BASH_SOURCE[-1]}") || own=''
    if [[ $own =~ ^(/.+)/agent/releases/[^/]+/ctl/agentctl\.sh$ ]]; then
      prefix=${BASH_REMATCH[1]}
    elif ((EUID == 0)); then
      prefix=$DEFAULT_PREFIX
    else
      prefix=${HOME:?}/.local/share/towline
    fi
  fi
  [[ $prefix == /?* && $prefix != *[[:cntrl:]]* && /$prefix/ != */../* && /$prefix/ != */./* ]] ||
    fail "$BAD_ARGUMENTS" "the prefix ${prefix@Q} is no absolute path"
  prefix=${prefix%/}
  agent=$prefix/agent
}

# value_of KEY FILE -> REPLY: of a file with key=value lines; empty when it has none.
value_of() {
  local key value
  REPLY=''
  [[ -r $2 ]] || return 1
  while IFS='=' read -r key value; do
    [[ $key != "$1" ]] || { REPLY=$value && return 0; }
  done <"$2"
  return 1
}
