# shellcheck shell=bash
# package.sh: from a package file to packages/<package>-<version>/, whole or not at all, and shared by services.

# place_package ROLE -> REPLY: its folder, unpacked if need be. Nothing uses it yet: the kind looks at it first.
place_package() {
  local role=$1 file name version digest
  package_of "$role" || fail "$NOT_INSTALLED" "no package for the role $role"
  local -r folder="$prefix/packages/$name"
  lock_packages
  if [[ -e $folder ]] && ! package_is "$folder" "$digest"; then
    ! package_in_use "$name" || fail "$DOCUMENT_WRONG" "$folder was made from another file; a changed package needs another version"
    remove_package "$name"
  fi
  [[ -e $folder ]] || unpack "$file" "$folder"
  REPLY=$folder
}

# use_package LINK FOLDER: from now on the service's link leads there. Where it led before is remembered until nothing
# runs from it any more (forget_former).
use_package() {
  local -r link=$service_dir/$1 target="../../packages/${2##*/}"
  make_folders
  if [[ -L $link && $(readlink "$link") != "$target" ]]; then
    put "$run/former" < <(sort -u -- <(readlink "$link") "$run/former" 2>/dev/null || readlink "$link")
  fi
  point "$link" "$target"
}

# forget_former: after a start of our own, programs that this service has left and no other one uses.
forget_former() {
  local target
  [[ -r $run/former ]] || return 0
  lock_packages
  while IFS= read -r target; do
    package_in_use "${target##*/}" || remove_package "${target##*/}"
  done <"$run/former"
  unlink "$run/former"
}

# One call at a time places or removes programs; whatever a killed call left half done goes first.
lock_packages() {
  local folder
  [[ -z ${PACKAGES_LOCKED-} ]] || return 0
  exec 8>"$prefix/.packages.lock"
  flock -w "${TOWLINE_TIMEOUT_S:-300}" 8 || fail "$FAILED" 'another call works on the packages'
  PACKAGES_LOCKED=1
  for folder in "$prefix"/packages/.partial-*; do [[ ! -d $folder ]] || remove_tree "$folder"; done
}

# program_of FOLDER NAME... -> REPLY: the first of these programs that the folder holds.
program_of() {
  local name
  for name in "${@:2}"; do
    REPLY=$1/$name
    [[ ! -x $REPLY || -d $REPLY ]] || return 0
  done
  local all="${*:2}"
  fail "$NOT_INSTALLED" "the package has no ${all// / and no }"
}

# version_of COMMAND... -> REPLY: the first version in what it says, and that it fits the document's.
version_of() {
  local words
  words=$("$@" 2>&1) || fail "$NOT_INSTALLED" "$1 does not run on this host"
  [[ $words =~ [0-9]+\.[0-9]+\.[0-9]+ ]] || fail "$DOCUMENT_WRONG" "the program says no version: ${words:0:200}"
  REPLY=${BASH_REMATCH[0]}
  version_fits "$REPLY"
}

# install_program ROLE WORD...: the install of a kind with one program, which `program FOLDER` finds and which tells its
# version when WORD... are said to it.
install_program() {
  place_package "$1"
  local -r folder=$REPLY
  program "$folder"
  version_of "$REPLY" "${@:2}"
  local -r version=$REPLY
  use_package current "$folder"
  installed_as "$version"
}

# package_of ROLE: sets file, name (of the folder), version and digest of the caller; false when there is none.
package_of() {
  local part="TOWLINE_PACKAGE_$1"
  local -r file_variable=$part name_variable=${part}_NAME version_variable=${part}_VERSION digest_variable=${part}_DIGEST
  [[ -n ${!file_variable-} ]] || return 1
  file=${!file_variable} version=${!version_variable-} digest=${!digest_variable-} name=${!name_variable-}
  [[ $name == *-"$version" ]] || name+="-$version"
  [[ $name =~ ^[a-z0-9][A-Za-z0-9._+~-]*$ && $digest =~ ^sha256:[0-9a-f]{64}$ ]] ||
    fail "$BAD_ARGUMENTS" "the package of role $1 has no proper name, version or digest"
  [[ -f $file && -r $file ]] || fail "$NOT_INSTALLED" "the file of package $name cannot be read"
}

package_is() { # package_is FOLDER DIGEST
  local digest=''
  [[ -r $1/.towline-package ]] || return 1
  IFS='=' read -r _ digest <"$1/.towline-package" || :
  [[ $digest == "$2" ]]
}

# unpack FILE FOLDER: beside its place, then one rename.
unpack() {
  local file=$1 folder=$2 original="TOWLINE_PACKAGE_${role}_FILE"
  local -r work="$prefix/packages/.partial-${folder##*/}"
  original=${!original-${file##*/}}
  mkdir -p "$work/tree"
  case $original in
    *.jar | *.war)
      [[ $original =~ ^[A-Za-z0-9_][A-Za-z0-9._+~-]*$ ]] || fail "$BAD_ARGUMENTS" "the package's file name ${original@Q} is none"
      cp -- "$file" "$work/tree/$original"
      ;;
    *)
      archive_is_safe "$file"
      tar -xf "$file" -C "$work/tree" --no-same-owner --no-same-permissions ||
        fail "$DOCUMENT_WRONG" "${original} cannot be unpacked"
      tree_is_safe "$work/tree"
      ;;
  esac
  local -a top=("$work/tree"/*)
  local root="$work/tree"
  if ((${#top[@]} == 1)) && [[ -d ${top[0]} && ! -L ${top[0]} ]]; then root=${top[0]}; fi
  chmod -R u+rwX,go+rX,go-w "$root"
  printf 'digest=%s\n' "$digest" >"$root/.towline-package"
  sync -f "$root"
  mv -T "$root" "$folder"
  did "installed $folder"
  remove_tree "$work"
}

# archive_is_safe FILE: reads the table of contents before a byte is written. Refused: absolute names, "..", links
# that lead out, members below a link, devices, setuid bits, and more than the bounds.
readonly MEMBER='^(.)([^ ]{9,}) +[^ ]+ +([0-9]+) +[^ ]+ +[^ ]+ (.*)$' # mode, owner, size, date, time, name
archive_is_safe() {
  local mode size name target line problem=''
  local -i members=0 bytes=0
  local -A links=()
  while IFS= read -r line; do
    [[ $line =~ $MEMBER ]] || { problem="an odd member: $line" && break; }
    mode=${BASH_REMATCH[1]}${BASH_REMATCH[2]} size=${BASH_REMATCH[3]} name=${BASH_REMATCH[4]} target=''
    case $mode in
      l*) target=${name#* -> } name=${name%% -> *} ;;
      h*) target=/${name#* link to } name=${name%% link to *} ;;
    esac
    members+=1 bytes+=10#$size
    member_is_safe || break
    [[ $mode != l* ]] || links[${name%/}]=1
    ((members <= ARCHIVE_MAX_MEMBERS)) || { problem="more than $ARCHIVE_MAX_MEMBERS members" && break; }
    ((bytes <= ARCHIVE_MAX_BYTES)) || { problem="more than $ARCHIVE_MAX_BYTES bytes" && break; }
  done < <(tar -tvPf "$file" --numeric-owner --quoting-style=escape 2>/dev/null)
  [[ -z $problem ]] || fail "$DOCUMENT_WRONG" "the archive is refused: $problem"
  ((members)) || fail "$DOCUMENT_WRONG" "the archive is empty or no archive"
}

# One member, in the variables of archive_is_safe; sets problem.
member_is_safe() {
  local way=${name%/}
  case $mode in
    [!dlh-]*) problem="$name is neither file, folder nor link" ;;
    *[sS]*) problem="$name has a setuid or setgid bit" ;;
  esac
  [[ $name != /* && /$name/ != */../* ]] || problem="$name leads out"
  if [[ $mode == l* ]]; then
    stays_inside "${name%/}" "$target" || problem="the link $name leads out to $target"
  elif [[ $mode == h* ]]; then
    [[ $target != //* && $target/ != */../* ]] || problem="the link $name leads out to $target"
  fi
  while [[ -z $problem && $way == */* ]]; do
    way=${way%/*}
    [[ -z ${links[$way]-} ]] || problem="$name lies below the link $way"
  done
  [[ -z $problem ]]
}

# stays_inside NAME TARGET: whether a relative link of that name keeps below the archive's top, word by word.
stays_inside() {
  local part
  local -i depth=0
  local -a parts
  [[ $2 != /* ]] || return 1
  IFS=/ read -ra parts <<<"${1%"${1##*/}"}$2"
  for part in "${parts[@]}"; do
    case $part in '' | .) ;; ..) ((depth -= 1)) || : ;; *) ((depth += 1)) ;; esac
    ((depth >= 0)) || return 1
  done
}

# tree_is_safe FOLDER: the same once more, on what really is there.
tree_is_safe() {
  local odd
  odd=$(find "$1" \( ! -type f ! -type d ! -type l -o -perm /6000 -o -type l -lname '/*' \) -print -quit)
  [[ -z $odd ]] || fail "$DOCUMENT_WRONG" "the archive is refused: ${odd#"$1"/}"
}

# release_packages LINK...: takes the service's links away, and a program that no other service uses.
release_packages() {
  local link folder
  lock_packages
  for link in "$@"; do
    [[ -L $service_dir/$link ]] || continue
    folder=$(readlink "$service_dir/$link")
    remove_file "$service_dir/$link"
    package_in_use "${folder##*/}" || remove_package "${folder##*/}"
  done
}

# remove_package NAME: out of its place by one rename, so that a killed removal leaves no half program there.
remove_package() {
  local -r partial="$prefix/packages/.partial-$1"
  [[ -e $prefix/packages/$1 ]] || return 0
  mv -T "$prefix/packages/$1" "$partial"
  remove_tree "$partial"
}

package_in_use() { # package_in_use NAME: by the link of any service
  [[ -n $(find "$prefix/services" -mindepth 2 -maxdepth 2 -type l -lname "../../packages/$1" -print -quit) ]]
}
