# shellcheck shell=bash
# tables.sh: the data folder, made once, and whose version its system tables are.

initialise() { # initialise FOLDER
  local words
  local -a how=("${LAUNCH_COMMAND[@]}" "--datadir=$1" --skip-log-bin)
  if is_mariadb; then
    how+=(--bootstrap --log-warnings=0 --enforce-storage-engine= --max-allowed-packet=8M --net-buffer-length=16K)
    words=$(system_tables | as_account "${how[@]}" 2>&1) || fail "$FAILED" "the data folder cannot be made: ${words: -300}"
    note_tables
  else
    words=$(as_account "${how[@]}" --initialize-insecure 2>&1) || fail "$FAILED" "the data folder cannot be made: ${words: -300}"
  fi
}

note_tables() { put "$service_dir/tables-version" <<<"${INSTALLED[program]}"; }

tables_fit() { # or the process is still that of another version
  local made=''
  is_mariadb || return 0
  if [[ -r $service_dir/tables-version ]]; then read -r made <"$service_dir/tables-version"; fi
  [[ $made == "${INSTALLED[program]-}" || $(readlink "/proc/${IDENTITY[pid]}/exe") != "$(readlink -f "$current")"/* ]]
}
