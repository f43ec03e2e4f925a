# shellcheck shell=bash
# file.sh: files that are whole or not there, digests, and the one guarded way to remove a folder.

# put FILE [MODE]: its standard input becomes the file, atomically and durably. Same bytes: nothing happens.
put() {
  local file=$1 mode=${2-0600} new="$1.new"
  cat >"$new"
  chmod "$mode" "$new"
  if [[ -f $file && ! -L $file ]] && cmp -s "$new" "$file"; then
    unlink "$new"
    return 0
  fi
  sync "$new"
  mv -fT "$new" "$file"
  did "wrote $file"
}

# point LINK TARGET: the link leads to the target, by one rename.
point() {
  local -r link=$1 target=$2
  [[ ! -L $link || $(readlink "$link") != "$target" ]] || return 0
  ln -sfnT "$target" "$link.new"
  mv -fT "$link.new" "$link"
  did "$link leads to $target"
}

# remove_tree FOLDER: only a folder of towline's, at least two levels below the prefix, named without a detour.
remove_tree() {
  local -r folder=$1
  local -r below=${folder#"$prefix"/}
  [[ -n $prefix && $prefix == /?* && $folder == "$prefix"/* ]] || fail "$FAILED" "will not remove ${folder@Q}: not below the prefix"
  [[ $below =~ ^(packages|services)/[A-Za-z0-9._+~-]+(/[A-Za-z0-9._+~-]+)*$ && /$folder/ != */../* && /$folder/ != */./* ]] ||
    fail "$FAILED" "will not remove ${folder@Q}: not a folder of towline's"
  [[ -e $folder || -L $folder ]] || return 0
  [[ ! -L $folder ]] || fail "$FAILED" "will not remove ${folder@Q}: it is a link"
  rm -rf --one-file-system -- "$folder"
  did "removed $folder"
}

remove_file() { # remove_file FILE...: files and links, if they are there
  local file
  for file in "$@"; do
    [[ -e $file || -L $file ]] || continue
    unlink "$file"
    did "removed $file"
  done
}

# digests FILE...: sets DIGESTS to the sha256 of each, `missing` where there is no file. One process for all.
declare -a DIGESTS=()
digests() {
  local file line said=''
  local -a there=()
  DIGESTS=()
  for file in "$@"; do [[ ! -r $file ]] || there+=("$file"); done
  if ((${#there[@]})); then said=$(LC_ALL=C exec sha256sum -- "${there[@]}") || :; fi
  for file in "$@"; do
    if [[ -r $file && -n $said ]]; then
      line=${said%%$'\n'*} said=${said#"$line"} said=${said#$'\n'}
      line=${line#\\} # sha256sum marks an odd name by a backslash
      DIGESTS+=("${line%% *}")
    else
      DIGESTS+=(missing)
    fi
  done
}

# config_digest -> REPLY: over CONFIG_FILES, as the contract says. Extra files may ride along: DIGESTS holds them last.
config_digest() {
  local text
  ! caller_has_read "$@" || return 0
  digests "${CONFIG_FILES[@]}" "$@"
  ! kept_digest || return 0
  printf -v text '%s\n' "${DIGESTS[@]:0:${#CONFIG_FILES[@]}}"
  REPLY=$(exec sha256sum <<<"${text%$'\n'}")
  REPLY="sha256:${REPLY%% *}"
}

# kept_digest [DIGEST] -> REPLY: what configure has kept (drift.sh), where it is of just these files with just the digests of
# DIGESTS: a look at a service that nobody touched costs one process less. With DIGEST: where it is that one; sets DIGESTS.
kept_digest() {
  local hash file digest=''
  local -i number=0
  local -a hashes=()
  [[ -r $run/written/digests ]] || return 1
  {
    read -r digest || return 1
    while IFS=' ' read -r hash file; do
      [[ $file == "${CONFIG_FILES[number]-}" ]] && { (($#)) || [[ $hash == "${DIGESTS[number]}" ]]; } || return 1
      hashes+=("$hash")
      number+=1
    done
  } <"$run/written/digests"
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] && ((number == ${#CONFIG_FILES[@]})) && [[ $digest == "${1-$digest}" ]] || return 1
  (($# == 0)) || DIGESTS=(${hashes[@]+"${hashes[@]}"})
  REPLY=$digest
}

# caller_has_read [/proc/PID/cmdline] -> REPLY: the puller reads the watched files and the command line itself before it asks for a
# look, and tells their digests (docs/scripts/contract.md). Where they are what configure has kept, of the very process that we
# know, they are not read once more: that takes a process, a third of what a look costs.
caller_has_read() {
  [[ -n ${TOWLINE_CONFIG-} ]] || return 1
  (($# == 0)) || [[ ${TOWLINE_COMMAND-} =~ ^([0-9]+):([0-9]+):([0-9a-f]{64})$ ]] || return 1
  local -a process=(${BASH_REMATCH[@]+"${BASH_REMATCH[@]:1}"})
  (($# == 0)) || [[ $1 == "/proc/${process[0]}/cmdline" && ${process[1]} == "${IDENTITY[start_time]-}" ]] || return 1
  kept_digest "$TOWLINE_CONFIG" || return 1
  (($# == 0)) || DIGESTS+=("${process[2]}")
}

# salt -> REPLY: 128 random bits that never leave the host. A configuration file with a secret carries them, so its
# digest, which is reported, cannot be used to try out passwords.
salt() { random_word "$run/salt"; }

random_word() { # random_word FILE -> REPLY: the 128 random bits of the file, made with the first call
  if [[ ! -s $1 ]]; then
    REPLY=$(od -An -N16 -tx1 /dev/urandom)
    put "$1" <<<"${REPLY//[[:space:]]/}"
  fi
  read -r REPLY <"$1"
}

# blank_salt -> REPLY: the salt in blanks and tabs, for files that have no comments and whose reader takes white space
# off the end.
blank_salt() {
  local digit bits=''
  local -i number bit
  salt
  while IFS= read -r -N 1 digit; do
    number=$((16#$digit))
    for bit in 8 4 2 1; do if ((number & bit)); then bits+=$'\t'; else bits+=' '; fi; done
  done < <(printf '%s' "$REPLY")
  REPLY=$bits
}
