# shellcheck shell=bash
# spring.sh: programs on Spring Boot: their application.properties, and the version that is told by the jars inside a jar.

# jar_version JAR NAME -> REPLY: the version of the jar NAME-VERSION.jar inside; the names in an archive are not packed.
jar_version() {
  IFS= read -r REPLY < <(exec grep -aoEm 1 -- "$2-[0-9]+\.[0-9]+\.[0-9]+" "$1") || fail "$NOT_INSTALLED" "the package has no ${1##*/} with $2-VERSION.jar in it"
  REPLY=${REPLY#"$2-"}
  version_fits "$REPLY"
}

# properties_fit NAME TAKEN: a text parameter with name=value a line, none of them one that the script sets itself: TAKEN
# is a pattern of names as Spring compares them, in small letters without hyphens.
properties_fit() {
  local line name
  while IFS= read -r line; do
    name=${line%%=*}
    if [[ ! $line =~ ^([A-Za-z0-9][][A-Za-z0-9._-]*=[\ -~]*)?$ ]]; then
      problem "$1" "has a line that is not name=value in printable ASCII: $name"
    elif [[ -n $line ]]; then
      property_fits "$1" "${line#*=}"
      name=${name//[_-]/}
      [[ ! ${name,,} =~ ^($2)$ ]] || problem "$1" "has $name, which is set by a parameter or by towline itself"
    fi
  done <<<"${PARAM[$1]}"
}

# property_fits NAME TEXT: Spring would put something else in the place of ${...}, and run #{...}.
property_fits() {
  [[ $2 =~ ^[\ -~]*$ ]] || problem "$1" 'has something else than printable ASCII'
  [[ $2 != *[\$\#]\{* ]] || problem "$1" "has \${ or #{, which Spring does not take as it stands"
}

property() { # property NAME VALUE: as a line of the file, where a blank in front would be lost
  local value=${2//\\/\\\\}
  [[ $value != ' '* ]] || value="\\$value"
  printf '%s=%s\n' "$1" "$value"
}

# property_of FILE NAME -> REPLY: what `property` wrote there
property_of() {
  local line
  REPLY=''
  while IFS= read -r line; do
    [[ $line != "$2="* ]] || REPLY=${line#*=}
  done <"$1"
  REPLY=${REPLY//\\\\/$'\n'}
  REPLY=${REPLY//\\/}
  REPLY=${REPLY//$'\n'/\\}
}
