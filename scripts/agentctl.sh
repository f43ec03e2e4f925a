#!/usr/bin/env bash
# agentctl.sh: the agent itself, by hand on a VM and by contract for the puller. Healthy means: the puller answers on
# its local socket and serves.
set -Eeuo pipefail
umask 077
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=agent/say.sh
. "${here:-./}agent/say.sh"
# shellcheck source=agent/file.sh
. "${here:-./}agent/file.sh"
# shellcheck source=agent/release.sh
. "${here:-./}agent/release.sh"
# shellcheck source=agent/unit.sh
. "${here:-./}agent/unit.sh"
# shellcheck source=agent/cron.sh
. "${here:-./}agent/cron.sh"
# shellcheck source=agent/alive.sh
. "${here:-./}agent/alive.sh"
# shellcheck source=agent/healing.sh
. "${here:-./}agent/healing.sh"
# shellcheck source=agent/trial.sh
. "${here:-./}agent/trial.sh"
# shellcheck source=agent/token.sh
. "${here:-./}agent/token.sh"
# shellcheck source=agent/judge.sh
. "${here:-./}agent/judge.sh"
# shellcheck source=agent/web.sh
. "${here:-./}agent/web.sh"
# shellcheck source=agent/fetch.sh
. "${here:-./}agent/fetch.sh"
# shellcheck source=agent/install.sh
. "${here:-./}agent/install.sh"
# shellcheck source=agent/removal.sh
. "${here:-./}agent/removal.sh"

# By contract: the puller's keeper names the kind; the publisher asks for meta with an empty environment.
if [[ -n ${TOWLINE_KIND-} || ${1-} == meta ]]; then
  # shellcheck source=common.sh
  . "${here:-./}common.sh"
  # shellcheck source=agent/contract.sh
  . "${here:-./}agent/contract.sh"
else
  run_verb() { by_hand "$@"; }
fi

help() {
  cat <<'TEXT'
usage: bash agentctl.sh COMMAND [--prefix FOLDER] [OPTION]...

  install          brings the agent onto this host and makes it known to the backend; again: repairs, or another version
  start            starts it, and lets self_healing keep it again
  stop             stops it until start, restart or install; services keep running
  restart          stops it orderly and starts it
  check_status     not running, running but not serving, or serving; with the age of its last pass
  self_healing     what the timer or cron runs every minute: puts right what is wrong with the agent, silent otherwise
  uninstall        takes the agent away and nothing else; services keep running, data stays
  installall       the whole host as its document says, by one pass, after showing the plan
  uninstallall     everything that the document put here removed, after showing the plan, then the agent
  help             this text

  --prefix FOLDER  root of all that towline owns here: /opt/towline as root, ~/.local/share/towline otherwise

install:
  --token-file FILE  the join token of `towline host invite NAME`; without it, or as -, standard input
  --from PLACE       URL or folder to have the archive from, before the backend is asked; may be given again. Below it, or
                     directly in a folder: sha256/<hex>. A folder may hold the file under any name
  --ca-file FILE     private CAs to trust, in PEM
  --method HOW       self-contained (brings its own Python; x86_64) or wheels (any architecture, Python >= 3.11)
  --force            this host becomes another one, with new keys, where it is enrolled already
  --yes              asks nothing
  --git-url URL --git-branch NAME --git-username NAME --git-password-file FILE --git-ssh-key-file FILE
  --git-known-hosts-file FILE --directory FOLDER
                     where documents come from, when not from where the backend says (see `towline-puller enroll --help`)
uninstallall:
  --purge-data          deletes the services' data too
  --allow-removals N    removes so many services at once, whatever the limit
  --yes                 asks nothing
self_healing, check_status: no more options

Exit codes: 0 done; 1 failed, may pass; 2 wrong arguments; 4 no permission; 5 something is missing here; 6 refused.
check_status: 0 serving; 1 running, not serving; 3 not running.
TEXT
}

# by_hand COMMAND [OPTION]...: each command is a function hand_<command>.
by_hand() {
  local -r command=${1-}
  trap '((BASH_SUBSHELL)) || unforeseen "$LINENO" "$BASH_COMMAND"' ERR
  case $command in
    install | start | stop | restart | check_status | self_healing | uninstall | installall | uninstallall) ;;
    help | -h | --help) help && return 0 ;;
    '') help >&2 && exit "$BAD_ARGUMENTS" ;;
    *) refuse_token "$@" && help >&2 && fail "$BAD_ARGUMENTS" "there is no command ${command@Q}" ;;
  esac
  refuse_token "$@"
  # Before anything that an older one misunderstands
  ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || fail "$NOT_INSTALLED" "bash is $BASH_VERSION; it must be 4.4 or newer"
  read_options "${@:2}"
  "hand_$command"
}

refuse_token() { # refuse_token ARGUMENT...: everybody on the host can read arguments, so it is not shown once more
  [[ $* != *"$TOKEN_START"* ]] ||
    fail "$BAD_ARGUMENTS" 'the join token belongs on standard input or into a file (--token-file), never into arguments, which everybody on this host can read: invite the host again'
}

# read_options OPTION...: into `prefix`, `agent`, OPTIONS (by name), FROM and ENROL_OPTIONS.
declare -A OPTIONS=()
declare -a FROM=() ENROL_OPTIONS=()
read_options() {
  prefix=''
  while (($#)); do
    case $command:$1 in
      *:--yes | install:--force | uninstallall:--purge-data) OPTIONS[${1#--}]=yes ;;
      *:--prefix | install:--token-file | install:--ca-file | install:--method | uninstallall:--allow-removals) option "$@" && shift ;;
      install:--from) option "$@" && FROM+=("$2") && shift ;;
      install:--git-* | install:--directory) option "$@" && ENROL_OPTIONS+=("$1" "$2") && shift ;;
      *:-h | *:--help) help && exit 0 ;;
      *) fail "$BAD_ARGUMENTS" "$command does not know ${1@Q}; see help" ;;
    esac
    shift
  done
  [[ ${OPTIONS[method]-} =~ ^(|self-contained|wheels)$ ]] || fail "$BAD_ARGUMENTS" '--method is self-contained or wheels'
  [[ ${OPTIONS['allow-removals']-0} =~ ^[0-9]{1,4}$ ]] || fail "$BAD_ARGUMENTS" '--allow-removals needs a number'
  the_prefix "${OPTIONS[prefix]-}"
}

option() { # option NAME VALUE...
  (($# > 1)) || fail "$BAD_ARGUMENTS" "$1 needs a value"
  [[ $2 != *[[:cntrl:]]* ]] || fail "$BAD_ARGUMENTS" "the value of $1 has a control character"
  OPTIONS[${1#--}]=$2
}

run_verb "$@"
