# shellcheck shell=bash
# data.sh: data that a program makes once, before its first start, and whose version only goes up. Beside the data stand,
# in the service's own folder, where the service's account cannot write: data-version, and what the kind notes itself.

# made_once FOLDER COMMAND...: the folder, made by `COMMAND... PARTIAL` whole or not at all. A half one, which a killed call
# left, was never used and goes first; one that is there is never touched.
made_once() {
  local -r folder=$1 partial=${1%/*}/.partial-${1##*/}
  [[ ! -e $folder ]] || return 0
  [[ ! -e $partial ]] || remove_tree "$partial"
  as_account mkdir "$partial"
  "${@:2}" "$partial"
  as_account sync -f "$partial"
  as_account mv -T "$partial" "$folder"
  did "made $folder"
}

# data_goes_up FOLDER NAME VERSION: from now on the data belongs to that version of that program. What an older series would do to
# it nobody has promised, so it is refused before the program sees it.
data_goes_up() {
  local name version
  local -r file=$service_dir/data-version
  if [[ -e $1 && -r $file ]] && IFS=' ' read -r name version <"$file"; then
    [[ $name == "$2" ]] || fail "$DOCUMENT_WRONG" "its data is that of $name $version, which $2 cannot read: purge it, or name a package of $name"
    series "$version" && version=$REPLY && series "$3"
    ! newer "$version" "$REPLY" ||
      fail "$DOCUMENT_WRONG" "its data was written by $name $version, and $REPLY does not take it back: stay with $version, or load a dump into an empty service"
  fi
  put "$file" <<<"$2 $3"
}

newer() { # newer VERSION OTHER
  [[ $1 != "$2" && $(printf '%s\n' "$1" "$2" | sort -V | tail -n 1) == "$1" ]]
}

series() { # series VERSION -> REPLY: its first two numbers
  local -a parts
  IFS=. read -ra parts <<<"$1"
  REPLY=${parts[0]}.${parts[1]-0}
}

# noted NAME FILE: whether the bytes of the file are the ones that `take_note NAME FILE` has noted.
noted() {
  local was=''
  if [[ -r $service_dir/$1 ]]; then read -r was <"$service_dir/$1"; fi
  digests "$2"
  [[ $was == "${DIGESTS[0]}" ]]
}

take_note() {
  digests "$2"
  put "$service_dir/$1" <<<"${DIGESTS[0]}"
}
