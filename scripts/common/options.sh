# shellcheck shell=bash
# options.sh: settings that the parameters do not name. A program whose settings are options on its command line has them in
# etc/arguments, one a line; one that reads a file of `name = value` gets more lines of it.

declare -a ARGUMENTS=()

# options_fit NAME PATTERN: a text parameter with an option a line, none of them one that the script sets itself.
options_fit() {
  local line
  while IFS= read -r line; do
    if [[ -z $line ]]; then
      continue
    elif [[ ! $line =~ ^--[a-z][A-Za-z0-9._-]*(=.*)?$ ]]; then
      problem "$1" "has a line that is no option such as --name=value: ${line@Q}"
    elif [[ ${line%%=*} =~ $2 ]]; then
      problem "$1" "has ${line%%=*}, which is set by a parameter or by towline itself"
    fi
  done <<<"${PARAM[$1]}"
}

# add_options NAME: the lines of that text parameter, to ARGUMENTS.
add_options() {
  local line
  while IFS= read -r line; do [[ -z $line ]] || ARGUMENTS+=("$line"); done <<<"${PARAM[$1]}"
}

# put_arguments: ARGUMENTS into etc/arguments. An option that this version does not have, the document gets back with the
# program's words.
put_arguments() {
  local words
  program
  words=$("$REPLY" "${ARGUMENTS[@]}" --version 2>&1 >/dev/null) || fail "$DOCUMENT_WRONG" "$KIND refuses an option: ${words##*error: }"
  put "$etc/arguments" < <(printf '%s\n' "${ARGUMENTS[@]}")
}

launch_with_arguments() { # the whole of a launch_command
  mapfile -t ARGUMENTS <"$etc/arguments"
  program
  LAUNCH_COMMAND=("$REPLY" "${ARGUMENTS[@]}")
  LAUNCH_FOLDER=$data
}

# settings_fit NAME NAMES PATTERN: a text parameter with a line `name = value` each, a comment, or nothing. Refused are these
# names, in all the ways that MySQL's reader takes for one (hyphens, prefixes, the first letters only), and the pattern.
settings_fit() {
  local line name full
  while IFS= read -r line; do
    [[ $line =~ ^(#.*|([a-z][a-z0-9_-]*)\ *(=.*)?)?$ ]] || { problem "$1" "has a line that is not name = value: ${line@Q}" && continue; }
    name=${BASH_REMATCH[2]//-/_}
    while [[ $name =~ ^(loose|skip|disable|enable|maximum)_ ]]; do name=${name#*_}; done
    for full in $2; do
      [[ -z $name || $full != "$name"* ]] || { problem "$1" "has $name, which is set by a parameter or by towline itself" && break; }
    done
    [[ ! $name =~ $3 ]] || problem "$1" "has $name, which towline does not look after"
  done <<<"${PARAM[$1]}"
}
