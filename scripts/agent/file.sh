# shellcheck shell=bash
# file.sh: files that are whole or not there, and the one guarded way to remove a folder of the agent's.

# put FILE [MODE]: its standard input becomes the file, atomically and durably. Same bytes: nothing happens; else CHANGED
# is 1. In the contract face the kinds' own, which does the same, takes its place.
declare -i CHANGED=0
put() {
  local file=$1 mode=${2-0600} new="$1.new"
  cat >"$new"
  chmod "$mode" "$new"
  if [[ -f $file && ! -L $file ]] && cmp -s "$new" "$file" && [[ $(stat -c %a "$file") == "${mode#0}" ]]; then
    unlink "$new"
    return 0
  fi
  sync "$new"
  mv -fT "$new" "$file"
  CHANGED=1
}

# remove_below NAME[/NAME...] [LAST]: a folder or file of the agent's below the prefix, never through a link, never on
# another file system. LAST: what in that folder goes last.
remove_below() {
  local -r folder=$prefix/$1
  [[ -n $prefix && $prefix == /?* ]] || fail "$FAILED" "will not remove ${1@Q}: there is no prefix"
  [[ $1 =~ ^(agent|incoming|metrics|run|log|etc|state|artifacts|bundles|steps|packages|services)(/[A-Za-z0-9._+~-]+)*$ && /$1/ != */../* && /$1/ != */./* ]] ||
    fail "$FAILED" "will not remove ${folder@Q}: not the agent's"
  [[ -e $folder || -L $folder ]] || return 0
  if [[ -L $folder || ! -d $folder ]]; then
    unlink "$folder"
    return
  fi
  [[ -z ${2-} ]] || find "$folder" -xdev -mindepth 1 ! -path "$folder/$2" -delete
  rm -rf --one-file-system -- "$folder"
}

# strange_folders -> REPLY: what lies below the prefix under names of the agent's, and is not the agent's: below /var, say,
# `log` is everybody's. False where nothing does. An uninstall would take it away.
strange_folders() {
  local name
  REPLY=''
  for name in agent/{lock,installed,releases,current,refused,stopped} etc/puller.toml state/{towline.db,trust.note,keys,keys.pending,lock}; do
    [[ ! -e $prefix/$name && ! -L $prefix/$name ]] || return 1
  done
  for name in agent state etc steps bundles artifacts run log; do
    [[ -z $(ls -A -- "$prefix/$name" 2>/dev/null) ]] || REPLY+=", $name"
  done
  REPLY=${REPLY#, }
  [[ -n $REPLY ]]
}

# take_lock SECONDS [TEXT]: one command at a time works on this prefix. Who waits says who works; false when the time is
# over. Descriptor 7 holds it until this process ends: what outlives us is started with 7>&-.
take_lock() {
  local -i latest=SECONDS+$1
  local text=${2-}
  until lock_is_ours; do
    [[ -z $text ]] || note "$text$(holder_of_lock)"
    text=''
    ((SECONDS < latest)) && flock -w "$((latest - SECONDS))" 7 || return 1 # and then look whether that file is still the lock
    exec 7>&-
  done
  printf '%s %s\n' "$$" "${command-}" >"$agent/lock" 2>/dev/null || : # words only; a full disk is no reason
}

lock_is_ours() { # an uninstall, or an install that was refused, takes the file away: then the next one is the lock
  make_agent 2>/dev/null || fail "$PERMISSION" "cannot write below $prefix"
  { exec 7>>"$agent/lock"; } 2>/dev/null || fail "$PERMISSION" "cannot write below $prefix"
  flock -n 7 && [[ $agent/lock -ef /proc/self/fd/7 ]]
}

# make_agent: the agent's folder. What above the prefix had to be made for it is remembered: it goes again with the prefix.
make_agent() {
  local folder=${prefix%/*} made=''
  while [[ -n $folder && ! -e $folder ]]; do made=$folder folder=${folder%/*}; done
  (umask 022 && mkdir -p "$agent") || return 1
  [[ -z $made ]] || printf '%s\n' "$made" >"$agent/made_above"
}

holder_of_lock() {
  local pid what
  read -r pid what <"$agent/lock" 2>/dev/null || return 0
  [[ ! $pid =~ ^[0-9]+$ ]] || printf ' (process %s: %s)' "$pid" "${what:-the agent}"
}
