# shellcheck shell=bash
# tool.sh: a service without a process, such as a JDK: files that others use. It runs, in the words of the contract, when
# it is in use: proven to work, and not stopped since. A kind has `works` (true, or false and REASON) and TOOL_FILES
# (patterns of names), and its check_status, start and stop are these.

declare -a TOOL_FILES=()

# tool_files -> REPLY: of each file that matters its inode, size and time, one a line. As long as they are what they were
# when it was proven, it is not proven anew: a look would cost a start of the program.
tool_files() {
  local name
  local -a names=()
  for name in "${TOOL_FILES[@]}"; do names+=(-o -name "$name"); done
  REPLY=$(exec find "$current/" -type f \( "${names[@]:1}" \) -printf '%P %i %s %T@\n' 2>/dev/null) || :
}

tool_status() {
  local proven=''
  is_installed || answer absent "$service is not installed"
  [[ -d $current/ ]] || answer absent 'its program is gone'
  config_digest
  config_facts
  fact version "${INSTALLED[version]}"
  [[ -r $run/in-use ]] || answer stopped
  proven=$(<"$run/in-use")
  tool_files
  [[ $REPLY == "$proven" ]] || works || answer degraded "$REASON"
  answer running
}

tool_start() {
  local proven=''
  need_installed
  [[ -r $run/parameters ]] || fail "$NOT_INSTALLED" "$service is not configured"
  tool_files
  local -r files=$REPLY
  if [[ -r $run/in-use ]]; then proven=$(<"$run/in-use"); fi
  if [[ $proven != "$files" ]]; then
    works || fail "$FAILED" "$REASON"
    put "$run/in-use" <<<"$files"
  fi
  forget_former
}

tool_stop() { remove_file "$run/in-use"; }
