# shellcheck shell=bash
# options.sh: a program whose settings are options on its command line. They stand in etc/arguments, one a line.

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
