# shellcheck shell=bash
# yaml.sh: files of settings whose names have dots (`server.port: 5601`), of programs that read YAML. What a document says
# becomes a text, a number or a list of texts, and never a part of the file's form.

# yaml_setting NAME VALUE: one line. A list is in brackets, with commas between.
yaml_setting() {
  local word words=''
  local -a parts
  if [[ $2 =~ ^(true|false|-?(0|[1-9][0-9]{0,15})(\.[0-9]+)?)$ ]]; then
    REPLY=$2
  elif [[ $2 == '['*']' ]]; then
    IFS=, read -ra parts <<<"${2:1:-1}"
    for word in ${parts[@]+"${parts[@]}"}; do trim "$word" && yaml_text "$REPLY" && words+=", $REPLY"; done
    REPLY="[${words#, }]"
  else
    yaml_text "$2"
  fi
  printf '"%s": %s\n' "$1" "$REPLY"
}

yaml_text() { # yaml_text TEXT -> REPLY: in quotes; quotes that are round it already count as such
  REPLY=$1
  if [[ $REPLY =~ ^(\"[^\"\\]*\"|\'[^\']*\')$ ]]; then REPLY=${REPLY:1:-1}; fi
  REPLY=${REPLY//\\/\\\\}
  REPLY="\"${REPLY//\"/\\\"}\""
}

# yaml_fits PARAMETER PATTERN: a text parameter with `name: value` a line, a comment, or nothing; no name fits the pattern.
yaml_fits() {
  local line
  while IFS= read -r line; do
    if [[ ! $line =~ ^(#.*|[A-Za-z][A-Za-z0-9_.*-]*:\ +[^[:space:]].*)?$ ]]; then
      problem "$1" "has a line that is not name: value: ${line:0:60}"
    elif [[ ${line%%:*} =~ ^($2)$ ]]; then
      problem "$1" "has ${line%%:*}, which is set by a parameter or by towline itself"
    elif [[ $line == *$'\t'* ]]; then
      problem "$1" "has a tab: ${line%%:*}"
    fi
  done <<<"${PARAM[$1]}"
}

yaml_lines() { # yaml_lines PARAMETER: these lines, for the file
  local line
  printf '# The parameter %s\n' "$1"
  while IFS= read -r line; do
    case $line in
      '') ;;
      '#'*) printf '%s\n' "$line" ;;
      *) trim "${line#*:}" && yaml_setting "${line%%:*}" "$REPLY" ;;
    esac
  done <<<"${PARAM[$1]}"
}
