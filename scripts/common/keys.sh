# shellcheck shell=bash
# keys.sh: the keys of a configuration file on standard input, for drift.sh: `entry KEY VALUE`, or `line_entry LINE` where
# a line has no key. Not a parser of any of these formats: it never fails, and what it does not understand is a line.

readonly KEY_OPTION='^(--?[A-Za-z][A-Za-z0-9._-]*)=(.*)$'
readonly KEY_ASSIGNED='^([A-Za-z0-9_.@/$-]+)[[:space:]]*(=>?|:[[:space:]])[[:space:]]*(.*)$'
readonly KEY_BEFORE_BLANK='^([A-Za-z_][A-Za-z0-9_.-]*)[[:space:]]+(.*)$'
readonly KEY_BLOCK='^(.*[^[:space:]])[[:space:]]*\{$'
readonly KEY_YAML='^("[^"]*"|'\''[^'\'']*'\''|[^]["'\''{}#&*!|>%@`[:space:]][^:]*):([[:space:]]+(.*)|)$'
readonly KEY_TOKEN='^[[:space:]]*("([^"\\]|\\.)*"|[][{},:]|[^][{},:"[:space:]]+)'

# line_keys FILE: properties, ini with [sections], options, and in *.conf `name value` and blocks in braces.
line_keys() {
  local line place='' rest
  local -a above=()
  while IFS= read -r line || [[ -n $line ]]; do
    trim "$line" && line=$REPLY
    if [[ -z $line || $line == [#\;]* || $line == //* || $line == '-- '* ]]; then
      continue
    elif ((${#line} > DRIFT_MAX_LINE)); then
      line_entry "$line"
    elif [[ $line =~ ^\[([^][]+)\]$ ]]; then
      place=${BASH_REMATCH[1]}.
    elif [[ $line =~ $KEY_BLOCK ]]; then
      above+=("$place") place+=${BASH_REMATCH[1]}.
    elif [[ $line == '}'* ]]; then
      if ((${#above[@]})); then place=${above[-1]} && unset 'above[-1]'; fi
    elif [[ $line =~ $KEY_OPTION ]]; then
      entry "$place${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    elif [[ $line =~ $KEY_ASSIGNED ]]; then
      entry "$place${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}"
    elif [[ $1 == *.conf && $line =~ $KEY_BEFORE_BLANK ]]; then
      rest=${BASH_REMATCH[2]}
      entry "$place${BASH_REMATCH[1]}" "${rest%;}"
    else
      line_entry "$place$line"
    fi
  done
}

# yaml_keys: places by indentation, `a.b[0].c`. Text in several lines is one value.
yaml_keys() {
  local line text key block_key='' block_text=''
  local -i indent block=0
  local -a places=('') indents=(-1) # of what is open; an item is as far in as its dash
  local -A items=()
  while IFS= read -r line || [[ -n $line ]]; do
    text=${line#"${line%%[! ]*}"}
    indent=$((${#line} - ${#text}))
    if [[ -n $block_key && (-z $text || $indent -gt $block) ]]; then
      block_text+="$text / " && continue
    fi
    yaml_block_ends
    trim "$text" && text=$REPLY
    [[ -n $text && $text != '#'* && $text != --- && $text != ... ]] || continue
    if ((${#text} > DRIFT_MAX_LINE)); then line_entry "$text" && continue; fi
    yaml_close "$indent" "$text"
    while [[ $text == '- '* || $text == - ]]; do yaml_item; done
    if [[ $text =~ $KEY_YAML ]]; then
      key=${BASH_REMATCH[1]} text=${BASH_REMATCH[3]}
      yaml_key
    elif [[ -n $text && ${places[-1]} == *']' ]]; then
      entry "${places[-1]}" "$text"
    elif [[ -n $text ]]; then
      line_entry "$text"
    fi
  done
  yaml_block_ends
}

yaml_block_ends() {
  [[ -n $block_key ]] || return 0
  entry "$block_key" "${block_text%"${block_text##*[! /]}"}"
  block_key='' block_text=''
}

yaml_close() { # what is not around this line any more; a list may stand as far in as its key
  while ((${#places[@]} > 1 && indents[-1] >= $1)); do
    [[ $2 != -* || ${indents[-1]} -ne $1 || ${places[-1]} == *']' ]] || break
    unset 'places[-1]' 'indents[-1]'
  done
}

yaml_item() { # one dash, in the variables of yaml_keys
  local -r around=${places[-1]}
  local -r rest=${text#-}
  local -i number=${items["$around#"]-0}
  items["$around#"]=$((number + 1))
  places+=("${around}[$number]") indents+=("$indent")
  trim "$rest"
  indent+=$((${#text} - ${#REPLY}))
  text=$REPLY
}

yaml_key() {
  local place=${places[-1]}
  key=${key//[\"\']/}
  place+=${place:+.}$key
  places+=("$place") indents+=("$indent")
  case $text in
    '' | '#'*) ;;
    [\|\>]*) block=$indent block_key=$place ;;
    *) trim "${text%%[[:space:]]#*}" && entry "$place" "$REPLY" ;;
  esac
}

# json_keys: `a.b[0].c`.
json_keys() {
  local line token key=''
  local -a places=('') kinds=('') numbers=(0)
  while IFS= read -r line || [[ -n $line ]]; do
    if ((${#line} > DRIFT_MAX_LINE)); then line_entry "$line" && continue; fi
    while [[ $line =~ $KEY_TOKEN ]]; do
      token=${BASH_REMATCH[1]} line=${line:${#BASH_REMATCH[0]}}
      json_token
    done
  done
}

json_token() { # one, in the variables of json_keys
  case $token in
    '{' | '[')
      json_place
      places+=("$REPLY") kinds+=("$token") numbers+=(0) key=''
      ;;
    '}' | ']')
      if ((${#places[@]} > 1)); then unset 'places[-1]' 'kinds[-1]' 'numbers[-1]'; fi
      key=''
      ;;
    ',') key='' ;;
    ':') ;;
    *)
      if [[ ${kinds[-1]} == '{' && -z $key ]]; then
        key=${token//\"/}
      else
        json_place
        entry "${REPLY:-value}" "$token"
      fi
      ;;
  esac
}

json_place() { # -> REPLY: where the value that comes now stands
  REPLY=${places[-1]}
  if [[ ${kinds[-1]} == '[' ]]; then
    REPLY+="[${numbers[-1]}]"
    numbers[-1]=$((numbers[-1] + 1))
  elif [[ -n $key ]]; then
    REPLY+=${REPLY:+.}$key
  fi
}
