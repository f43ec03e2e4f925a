# shellcheck shell=bash
# limit.sh: what a unit says by its own lines, for a service that leads its own session: before LAUNCH_COMMAND.

# limited: as many open files as the parameter open_files says, and what else stands in LIMITS.
declare -a LIMITS=()
limited() {
  keeper
  [[ $REPLY == plain ]] || return 0
  local -r most=${PARAM[open_files]:-$(ulimit -Hn)}
  local -a limits=("--nofile=$most" ${LIMITS[@]+"${LIMITS[@]}"})
  prlimit "${limits[@]}" true 2>/dev/null || fail "$NOT_INSTALLED" "this account may not have ${limits[*]}; it may open $(ulimit -Hn) files"
  LAUNCH_COMMAND=(/usr/bin/prlimit "${limits[@]}" "${LAUNCH_COMMAND[@]}")
}

# never_root: for a program that refuses to run as root. Where root starts it without systemd, it is nobody, with root's
# access to files and no other right of root's (the secure bit lets access(2) know of it).
never_root() {
  local -r rights=+dac_override
  keeper
  [[ $REPLY == plain && $UID -eq 0 ]] || return 0
  local -a nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups "--inh-caps=$rights" "--ambient-caps=$rights" --securebits=+no_setuid_fixup --)
  "${nobody[@]}" true 2>/dev/null || fail "$PERMISSION" 'it refuses to run as root, and root may not become another one here'
  LAUNCH_COMMAND=("/usr/bin/${nobody[0]}" "${nobody[@]:1}" "${LAUNCH_COMMAND[@]}")
}
