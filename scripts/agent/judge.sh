# shellcheck shell=bash
# judge.sh: everything that an install needs, judged before anything is changed; all that is missing is said at once.

readonly MEMORY_KIB=131072 # what the agent and one step need, with room
readonly SPARE_KIB=65536   # for state, bundles and logs, beside the release
readonly UNPACKED_TIMES=4  # a release against its archive
readonly UNKNOWN_KIB=40960 # an archive whose size the token does not name
readonly RELEASE_INODES=4000

judge() {
  note "Looking at this host (nothing is changed yet)"
  PROBLEMS=()
  judge_tools
  judge_machine
  judge_place
  judge_method
  judge_keeper
  judge_identity
  judge_runner
  judge_proxies
  judge_authorities
  judge_backend
  judge_git
  problems_end 'nothing was changed. Put right what stands above and run the same command again'
}

# command, and its package for Debian's and RHEL's families
readonly TOOLS='
tar tar tar | gzip gzip gzip | sha256sum coreutils coreutils | base64 coreutils coreutils | sync coreutils coreutils
stat coreutils coreutils | df coreutils coreutils | mv coreutils coreutils | readlink coreutils coreutils | date coreutils coreutils
mktemp coreutils coreutils | timeout coreutils coreutils | head coreutils coreutils | tr coreutils coreutils | sed sed sed | xargs findutils findutils
flock util-linux util-linux | setsid util-linux util-linux | find findutils findutils | cmp diffutils diffutils
'
judge_tools() {
  local tool debian rhel
  local -a missing=()
  local -A debians=() rhels=()
  while read -r tool debian rhel; do
    [[ -z $tool ]] || has "$tool" || { missing+=("$tool") debians[$debian]=1 rhels[$rhel]=1; }
  done <<<"${TOOLS// | /$'\n'}"
  has curl || has wget || { missing+=('curl or wget') debians[curl]=1 rhels[curl]=1; }
  if ((${#missing[@]})); then
    printf -v tool ', %s' "${missing[@]}"
    problem "these commands are missing: ${tool:2} (Debian, Ubuntu: apt-get install ${!debians[*]}; RHEL family: dnf install ${!rhels[*]})"
  elif [[ $(tar --version 2>/dev/null) != *GNU* ]]; then
    problem 'tar is not GNU tar (package tar)'
  fi
}

judge_machine() {
  local release name kib rest
  local -i memory=0
  release=$(uname -r)
  if [[ ! $release =~ ^([0-9]+)\.([0-9]+) ]] || ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] < 302)); then
    problem "the kernel is $release; it must be 3.2 or newer"
  fi
  while read -r name kib rest; do
    case $name in
      MemAvailable:) memory=$kib && break ;;
      MemFree: | Buffers: | Cached:) ((memory += kib)) || : ;; # before Linux 3.14
    esac
  done </proc/meminfo
  ((memory >= MEMORY_KIB)) || problem "$((memory / 1024)) MiB of memory are available; $((MEMORY_KIB / 1024)) MiB are needed"
}

# judge_place: where the prefix lies: a folder that can be written and run from, with space.
judge_place() {
  local place options
  local -i need free
  nearest "$prefix" && place=$REPLY
  if [[ ! -d $place ]]; then
    problem "$place is no folder, and $prefix is to lie below it"
    return
  fi
  mount_options "$place" && options=,$REPLY,
  if [[ $options == *,ro,* ]]; then
    problem "$place lies on a file system that is mounted read-only: mount it writable, or choose another --prefix"
  elif [[ ! -w $place || ! -x $place ]]; then
    problem "$place cannot be written by $(id -un): run it as root (sudo -E bash …), or choose another --prefix"
  fi
  [[ $options != *,noexec,* ]] || problem "$place lies on a file system that is mounted noexec: nothing can run from there; choose another --prefix"
  need_kib && need=$REPLY
  free_kib "$place" && free=$REPLY
  ((free >= need)) || problem "$place has $((free / 1024)) MiB free; $(((need + 1023) / 1024)) MiB are needed"
  free_inodes "$place" && free=$REPLY
  ((free < 0 || free >= RELEASE_INODES)) || problem "$place has $free inodes free; $RELEASE_INODES are needed"
}

nearest() { # nearest PATH -> REPLY: itself or the nearest folder above it that is there
  REPLY=$1
  while [[ ! -e $REPLY ]]; do
    REPLY=${REPLY%/*}
    REPLY=${REPLY:-/}
  done
}

mount_options() { # mount_options PATH -> REPLY: those of the file system that it lies on
  local point where options
  point=$(stat -c %m -- "$1" 2>/dev/null) || point=/
  point=${point// /\\040} REPLY=''
  while read -r _ where _ options _; do
    [[ $where != "$point" ]] || REPLY=$options # the last one lies on top
  done </proc/self/mounts
}

free_kib() { free_of avail "$1"; }
free_inodes() { # -> REPLY, -1 where the file system counts none
  local -r all=$(stat -f -c %c -- "$1" 2>/dev/null)
  if [[ ${all:-0} == 0 ]]; then REPLY=-1; else free_of iavail "$1"; fi
}
free_of() { # free_of COLUMN PATH -> REPLY
  REPLY=$(df -k --output="$1" -- "$2" 2>/dev/null) || :
  REPLY=${REPLY##*[!0-9]}
  [[ -n $REPLY ]] || REPLY=0
}

need_kib() { # -> REPLY: what is still to be written
  local -i size need
  ((need = SPARE_KIB, size = ${WHO[agent_size]:-$((UNKNOWN_KIB * 1024))} / 1024 + 1))
  release_with "${WHO[agent_digest]-}" || ((need += size * (UNPACKED_TIMES + 1)))
  REPLY=$need
}

# judge_method: self-contained runs on any x86_64; wheels want a Python of this host.
judge_method() {
  local -r machine=$(uname -m)
  [[ -n ${WHO[agent_digest]-} ]] || release_of current ||
    problem "the join token names no archive of the agent. On the backend: towline package add dist/towline-agent-….tar.gz --name towline-agent --version …; then invite the host again"
  case ${OPTIONS[method]-}:$machine in
    self-contained:x86_64 | :x86_64) return 0 ;;
    self-contained:*) problem "this machine is $machine; the self-contained archive is for x86_64 (--method wheels)" && return 0 ;;
    wheels:*) ;;
    *) # the archive of wheels has a command that says so: this one is for x86_64. Nothing of it is fetched
      [[ -z ${WHO[agent_digest]-} ]] || release_with "${WHO[agent_digest]}" ||
        problem "this machine is $machine, and the archive that the join token names is for x86_64: on the backend, give the host's service of kind agent the archive of wheels, and invite the host again"
      ;;
  esac
  find_python || problem "$machine needs --method wheels, and for that Python 3.11 or newer with venv (Debian, Ubuntu: apt-get install python3-venv; RHEL family: dnf install python3.11)"
}

find_python() { # -> REPLY: a Python that is new enough and can make virtual environments
  for REPLY in python3.13 python3.12 python3.11 python3; do
    REPLY=$(command -v "$REPLY") || continue
    "$REPLY" -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return 0
  done
  return 1
}

# judge_keeper: who will keep the agent alive, and that he can.
judge_keeper() {
  local units
  find_mode || problem "$REPLY (Debian, Ubuntu: cron; RHEL family: cronie; where another supervisor runs \`towline-puller run\`, write the word none into $prefix/keeper)"
  [[ $mode == systemd ]] || return 0
  nearest /etc/systemd/system && units=$REPLY
  mount_options "$units"
  [[ ,$REPLY, != *,ro,* ]] || problem "$units is mounted read-only: the units of the agent go there"
}

judge_runner() { # somebody else's puller below this prefix; ours is known also where its release was removed
  local text=''
  if puller_runs || [[ -z $HOLDER ]]; then return 0; fi
  { IFS= read -r -d '' -n 65536 text < <(tr '\0' '\n' <"/proc/$HOLDER/cmdline"); } 2>/dev/null || :
  [[ $'\n'$text == *$'\n'"$(readlink -m -- "$agent")/releases/"* ]] ||
    problem "another towline-puller (pid $HOLDER) works below $prefix, and agentctl.sh did not install it: stop it first, and whatever starts it"
}

judge_identity() {
  local host
  ! strange_folders ||
    problem "$prefix is in use by something else: $REPLY below it would lie where the agent's own folders do. Choose another --prefix, a folder of its own"
  ! enrols || return 0
  ! is_enrolled "${WHO[host]}" "${WHO[backend_url]}" || return 0
  setting host && host=$REPLY
  setting backend_url || :
  problem "another towline lives at $prefix: it is enrolled as $host at $REPLY. To make this host another, with new keys: --force; beside it: another --prefix"
}

judge_proxies() {
  local name value
  for name in $PROXY_VARIABLES; do
    value=${!name-}
    [[ $value != *[!A-Za-z0-9:/@._~%,+=*\[\]-]* ]] || problem "$name has characters that an address has not: write those of a user or password percent-encoded"
  done
}

# judge_backend: answers, and agrees about the time. Where it cannot be reached the token's expiry is judged by our clock,
# and what is here already may be put right without it.
judge_backend() {
  local now
  now=$(date +%s)
  has curl || has wget || return 0
  if ! ask_web "${WHO[backend_url]}/healthz"; then
    local -r why="the backend ${WHO[backend_url]}: $REPLY"
    if needs_backend; then problem "$why"; else note "$why. It is not needed now"; fi
  elif ((STATUS != 200)); then
    problem "the backend ${WHO[backend_url]}: answers $STATUS to /healthz: is it the backend, and is it well?"
  elif [[ -n $DATE ]]; then
    now=$DATE
    skew_of "$DATE" || problem "$REPLY"
  fi
  token_left "$now"
  # It is for enrolling: a host that is enrolled already may be repaired with the token of then.
  ((REPLY > 0)) || ! enrols || problem "the join token expired at ${WHO[expires_at]}: invite the host again"
}

enrols() { [[ -n ${OPTIONS[force]-} ]] || ! is_enrolled || goes_on_enrolling; }
needs_backend() { # not where nothing has to be asked for
  ! enrols || return 0
  ! names_other_authorities || return 0 # with which nobody could talk to it, perhaps
  if [[ -n ${WHO[agent_digest]-} ]]; then
    release_with "${WHO[agent_digest]}" || return 0
  else
    release_of current || return 0
  fi
  return 1
}

names_other_authorities() { [[ -n ${OPTIONS['ca-file']-} ]] && ! cmp -s "${OPTIONS['ca-file']}" "$prefix/etc/ca.pem"; }

judge_authorities() {
  local -r file=${OPTIONS['ca-file']-}
  local text
  [[ -n $file ]] || return 0
  text=$(head -c 1048576 -- "$file" 2>/dev/null | tr -d '\0') || text=''
  [[ $text == *-----BEGIN*CERTIFICATE-----* ]] || problem "--ca-file $file: no file with certificates in PEM that can be read"
}

# judge_git: when documents are to come from git.
judge_git() {
  local url='' option
  for option in "${!ENROL_OPTIONS[@]}"; do [[ ${ENROL_OPTIONS[option]} != --git-url ]] || url=${ENROL_OPTIONS[option + 1]}; done
  case $url in
    '') ;;
    http://* | https://*)
      ask_web "${url%/}/info/refs?service=git-upload-pack" || problem "the git host: $REPLY"
      ;;
    ssh://* | *@*:*) ssh_reachable "$url" || problem "the git host: nothing can be reached at $REPLY (TCP)" ;;
    file://* | /*) [[ -d ${url#file://} ]] || problem "the git repository ${url#file://} is not there" ;;
  esac
}

ssh_reachable() { # ssh_reachable URL -> REPLY: host and port
  local host port=22
  if [[ $1 == ssh://* ]]; then
    host=${1#ssh://} host=${host%%/*} host=${host##*@}
    [[ $host != *:* ]] || { port=${host##*:} && host=${host%:*}; }
  else
    host=${1##*@} host=${host%%:*}
  fi
  REPLY="$host:$port"
  [[ $host =~ ^[A-Za-z0-9.-]+$ && $port =~ ^[0-9]{1,5}$ ]] || return 1
  (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null &
  local -r asking=$! until=$((SECONDS + WEB_CONNECT_S))
  while kill -0 "$asking" 2>/dev/null; do
    ((SECONDS < until)) || { kill "$asking" 2>/dev/null || :; }
    sleep 0.1
  done
  wait "$asking" 2>/dev/null
}
