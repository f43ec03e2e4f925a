# shellcheck shell=bash
# release.sh: from an archive to agent/releases/<version>-<12 hex>, whole or not there; what runs is switched by one rename.
# Callers hold the lock of the prefix (take_lock).

readonly RELEASE_MAX_MEMBERS=30000
readonly RELEASE_MAX_BYTES=$((1024 * 1024 * 1024))

# unpack_release ARCHIVE HEX -> REPLY: the id of the release, which is there then. HEX is the archive's sha256.
unpack_release() {
  local -r archive=$1 hex=$2
  local said
  [[ $hex =~ ^[0-9a-f]{64}$ ]] || fail "$BAD_ARGUMENTS" "${hex@Q} is no sha256"
  sweep_unfinished
  if release_with "$hex"; then
    ! release_is_whole "$REPLY" || return 0
    note "The release $REPLY was damaged: unpacking it again"
  fi
  said=$(sha256sum <"$archive") || fail "$FAILED" "the archive $archive cannot be read"
  [[ ${said%% *} == "$hex" ]] || fail "$DOCUMENT_WRONG" "the archive $archive is refused: its sha256 is ${said%% *}, not $hex"
  archive_is_harmless "$archive" || fail "$DOCUMENT_WRONG" "the archive is refused: $REPLY"
  mkdir -p "$agent/releases"
  chmod 0755 "$agent/releases"
  local -r new=$(mktemp -d "$agent/releases/.new-XXXXXXXX")
  lay_release || { said=$REPLY && sweep_unfinished && fail "${LAYING:-$FAILED}" "$said"; }
}

# release_with HEX -> REPLY: the release that was made from that archive.
release_with() {
  [[ ${#1} == 64 ]] || return 1
  for REPLY in "$agent/releases"/*-"${1:0:12}"; do
    REPLY=${REPLY##*/}
    [[ ! -f $agent/releases/$REPLY/release ]] || return 0
  done
  return 1
}

# lay_release: archive -> new -> its place. False: LAYING is the exit code, REPLY the reason.
lay_release() {
  local id odd
  LAYING=$DOCUMENT_WRONG
  odd=$(gzip -dc -- "$archive" 2>/dev/null | head -c "$RELEASE_MAX_BYTES" |
    tar -xf - -C "$new" --no-same-owner --no-same-permissions 2>&1 | head -c 4096) ||
    {
      [[ $odd != *'No space'* && $odd != *'Wrote only'* ]] || odd='the disk is full'
      LAYING=$FAILED REPLY="the archive cannot be unpacked below $agent: ${odd%%$'\n'*}" && return 1
    }
  odd=$(find "$new" ! -type f ! -type d -print -quit) # the same question once more, of what really is there
  [[ -z $odd ]] || { REPLY="the archive is refused: it laid ${odd#"$new"/}, which is neither file nor folder" && return 1; }
  release_fits || return 1
  id=$REPLY
  chmod -R u+rwX,go+rX,go-w "$new"
  chmod 0755 "$new/bin/towline-puller" "$new/ctl/agentctl.sh"
  [[ ${RELEASE[built_with]} != wheels ]] || make_venv || return 1
  LAYING=$FAILED
  odd=$(cd "$new" && find . -path ./venv -prune -o -type f -print0 | xargs -0 sha256sum --) || return 1
  { printf '%s\n' "$odd" >"$new/.sums" && sync -f "$new"; } ||
    { REPLY="cannot be written below $agent: is the disk full?" && return 1; }
  if [[ -e $agent/releases/$id ]]; then mv -T "$agent/releases/$id" "$agent/releases/.old-$id"; fi # damaged: found so above
  { mv -T "$new" "$agent/releases/$id" && sync "$agent/releases"; } || { REPLY="cannot be put in place below $agent" && return 1; }
  sweep_unfinished
  REPLY=$id
}

# archive_is_harmless FILE: reads its table of contents before a byte is written. Only files and folders, named from the
# archive's top downwards; within bounds, whatever the compressor promises. Else REPLY says what is odd.
archive_is_harmless() {
  local line mode name size
  local -i members=0 bytes=0
  local -r member='^(.)([^ ]{9,}) +[^ ]+ +([0-9]+) +[^ ]+ +[^ ]+ (.*)$' # mode, owner, size, date, time, name
  local -r proper='^[]A-Za-z0-9_.+@,=/~ ()[-]+$'
  REPLY=''
  while IFS= read -r line; do
    [[ $line != 'the end: '* ]] || { REPLY=${line#the end: } && break; }
    [[ $line =~ $member ]] || { REPLY="it has an odd member: $line" && break; }
    mode=${BASH_REMATCH[1]}${BASH_REMATCH[2]} size=${BASH_REMATCH[3]} name=${BASH_REMATCH[4]}
    members+=1
    ((${#size} < 13)) || size=$((RELEASE_MAX_BYTES + 1))
    bytes+=10#$size
    case $mode in
      [!d-]*) REPLY="$name is neither file nor folder" ;;
      *[sStT]*) REPLY="$name has a special mode" ;;
    esac
    [[ $name =~ $proper && $name != /* && /$name/ != */../* && /$name/ != */./?* ]] || REPLY="$name leads out, or is an odd name"
    ((members <= RELEASE_MAX_MEMBERS)) || REPLY="it has more than $RELEASE_MAX_MEMBERS members"
    ((bytes < RELEASE_MAX_BYTES)) || REPLY="it holds more than $RELEASE_MAX_BYTES bytes"
    [[ -z $REPLY ]] || break
  done < <(
    { gzip -dc -- "$1" || printf 'not gzip\n'; } 2>/dev/null | head -c "$RELEASE_MAX_BYTES" |
      tar -tvPf - --numeric-owner --quoting-style=escape 2>/dev/null || printf 'the end: it is cut off, or no archive\n'
  )
  [[ -z $REPLY ]] || return 1
  ((members)) || { REPLY='it is empty, or no archive' && return 1; }
}

# release_fits -> REPLY: the id that the release in `new` has, by its file `release`, which RELEASE holds then.
declare -A RELEASE=()
release_fits() {
  local key value
  RELEASE=()
  if [[ -f $new/release ]]; then
    while IFS='=' read -r key value; do [[ ! $key =~ ^[a-z_]+$ ]] || RELEASE[$key]=$value; done <"$new/release"
  fi
  REPLY='the archive is refused: '
  [[ ${RELEASE[name]-} == towline-agent ]] || { REPLY+='it is no release of the agent' && return 1; }
  [[ ${RELEASE[version]-} =~ ^[0-9A-Za-z][0-9A-Za-z._+~-]{0,63}$ ]] || { REPLY+='it names no proper version' && return 1; }
  [[ -f $new/bin/towline-puller && -f $new/ctl/agentctl.sh ]] || { REPLY+='it has no bin/towline-puller or no ctl/agentctl.sh' && return 1; }
  case ${RELEASE[architecture]-} in
    any | "$(uname -m)") ;;
    *) REPLY+="it is for ${RELEASE[architecture]-no architecture}, this machine is $(uname -m)" && return 1 ;;
  esac
  REPLY=${RELEASE[version]}-${hex:0:12}
}

# make_venv: of the wheels in `new`, with a Python of this host and without the network. It finds itself by its own
# place, so it may be renamed with the release.
make_venv() {
  local python
  find_python || { LAYING=$NOT_INSTALLED && REPLY='the archive holds wheels: they need Python 3.11 or newer with venv' && return 1; }
  python=$REPLY
  { "$python" -I -m venv "$new/venv" &&
    "$new/venv/bin/python" -I -m pip --isolated install --quiet --no-index --no-compile --disable-pip-version-check --find-links "$new/wheels" 'towline[puller]'; } >&2 ||
    { LAYING=$FAILED && REPLY="the wheels cannot be installed with $python" && return 1; }
}

# release_is_whole ID: every file is as the archive had it; of wheels, that what was made of them still works.
release_is_whole() {
  (
    cd "$agent/releases/$1" 2>/dev/null && sha256sum --check --status --strict .sums 2>/dev/null || exit 1
    [[ ! -d wheels ]] || venv/bin/python -I -c 'import puller.cli' 2>/dev/null
  )
}

# release_of LINK -> REPLY: the release that current or good leads to; false when it leads nowhere.
release_of() {
  REPLY=$(readlink -- "$agent/$1" 2>/dev/null) || { REPLY='' && return 1; }
  REPLY=${REPLY#releases/}
  [[ $REPLY != */* && -f $agent/releases/$REPLY/release ]] || { REPLY='' && return 1; }
}

# switch_release LINK ID: current or good, by one rename.
switch_release() {
  [[ $1 == current || $1 == good ]] && [[ -f $agent/releases/$2/release ]] || fail "$FAILED" "there is no release $2"
  ! release_of "$1" || [[ $REPLY != "$2" ]] || return 0
  ln -sfnT "releases/$2" "$agent/.$1.new"
  mv -fT "$agent/.$1.new" "$agent/$1"
  sync "$agent"
}

sweep_unfinished() { # what a killed call left; nothing leads there
  local folder
  for folder in "$agent"/releases/.new-* "$agent"/releases/.old-*; do
    [[ ! -d $folder ]] || remove_below "${folder#"$prefix"/}"
  done
}

# sweep_releases: keeps current, good, what a trial names, and the newest other one.
sweep_releases() {
  local folder id other=''
  local -A keep=()
  sweep_unfinished
  for id in current good; do ! release_of "$id" || keep[$REPLY]=1; done
  for id in release from; do ! value_of "$id" "$agent/trial" || [[ -z $REPLY ]] || keep[$REPLY]=1; done
  while IFS= read -r folder; do
    id=${folder##*/}
    [[ -z ${keep[$id]-} ]] || continue
    [[ -n $other ]] || { other=$id && continue; }
    remove_below "agent/releases/$id"
  done < <(ls -1dt -- "$agent"/releases/[!.]* 2>/dev/null)
}
