# shellcheck shell=bash
# keep.sh: who keeps a service: systemd as root, a user's systemd, or nobody but its own session. No kind knows which.
#
# systemd is used where its unit names cannot collide: for the prefix /opt/towline as root, and for the user's own
# prefix where that user's manager outlives the session (lingering). Everywhere else (containers, scratch prefixes)
# a service leads its own session. The file $prefix/keeper with the word `root`, `user` or `plain` overrules this.

keeper() { # -> REPLY: root, user or plain
  local said='' home
  if [[ -r $prefix/keeper ]]; then read -r said <"$prefix/keeper" || :; fi
  case $said in root | user | plain) REPLY=$said && return 0 ;; esac
  REPLY=plain
  if ((UID == 0)); then
    [[ $prefix != "$DEFAULT_PREFIX" || ! -d /run/systemd/system ]] || REPLY=root
  elif [[ -S /run/user/$UID/systemd/private ]]; then
    IFS=: read -r _ _ _ _ _ home _ < <(getent passwd "$UID")
    [[ $prefix != "$home/$USER_PREFIX" || ! -e /var/lib/systemd/linger/$(id -un) ]] || REPLY=user
  fi
}

unit_name() { REPLY="towline-$service.service"; }

manager() { # systemctl of whoever keeps the service
  keeper
  if [[ $REPLY == user ]]; then
    XDG_RUNTIME_DIR=/run/user/$UID systemctl --user "$@"
  else
    systemctl "$@"
  fi
}

unit_folder() { # -> REPLY
  local home
  keeper
  if [[ $REPLY == user ]]; then
    IFS=: read -r _ _ _ _ _ home _ < <(getent passwd "$UID")
    REPLY=$home/.config/systemd/user
  else
    REPLY=/etc/systemd/system
  fi
}

# make_account: under systemd as root, a service runs as a user of its own. -> REPLY: its name, or nothing
make_account() {
  keeper
  [[ $REPLY == root ]] || { REPLY='' && return 0; }
  local account
  account_name && account=$REPLY
  if ! getent passwd "$account" >/dev/null; then
    useradd --system --no-create-home --home-dir "$service_dir" --shell /usr/sbin/nologin --user-group "$account"
    did "made the account $account"
  fi
  REPLY=$account
}

forget_account() { # after purge: nothing is its any more
  local account
  keeper
  [[ $REPLY == root ]] || return 0
  account_name && account=$REPLY
  if getent passwd "$account" >/dev/null; then userdel "$account" && did "removed the account $account"; fi
}

account_name() { # -> REPLY
  REPLY="towline-$service"
  ((${#REPLY} <= 32)) || REPLY="towline-${REPLY: -24}"
}

# share FOLDER...: the service's account may read; own FOLDER...: it owns. Where there is no account, nothing.
share() {
  make_account
  [[ -n $REPLY ]] || return 0
  chgrp -R -- "$REPLY" "$@" && chmod -R g+rX -- "$@"
}

own() {
  make_account
  [[ -n $REPLY ]] || return 0
  chown -R -- "$REPLY:$REPLY" "$@"
}

# give_account: the folders of the service, as its account needs them.
give_account() {
  share "$etc" "$run"
  own "$data" "$log_dir"
  chgrp "$(stat -c %G "$etc")" "$service_dir" && chmod g+rx "$service_dir"
}

# as_account COMMAND...: as who the service runs; so nothing that its account left in a folder of its own misleads root.
as_account() {
  make_account
  if [[ -z $REPLY ]]; then
    "$@"
  else
    setpriv "--reuid=$(id -u "$REPLY")" "--regid=$(id -g "$REPLY")" --clear-groups -- "$@"
  fi
}

nul_file() { # nul_file FILE WORD...: the words, each ended by NUL
  if (($# == 1)); then put "$1" </dev/null; else put "$1" < <(printf '%s\0' "${@:2}"); fi
}

# new_ticket -> TICKET: a call may be killed after it has begun a launcher and before that one has become the service, which it
# may do at any later time. So each launcher has a ticket, and looks under a lock whether that is still the newest. From
# here on one of an earlier call has written its identity already, and `running` tells, or it never will.
declare TICKET=''
new_ticket() {
  local lock
  { exec {lock}<>"$run/launch.lock"; } 2>/dev/null || fail "$PERMISSION" "cannot write $run/launch.lock"
  flock -w "$LOCK_TIMEOUT_S" "$lock" || fail "$FAILED" "a start of $service that was begun earlier does not end"
  read -r TICKET </proc/sys/kernel/random/uuid
  printf '%s\n' "$TICKET" >"$run/launch.lock" || fail "$FAILED" "cannot write $run/launch.lock"
  exec {lock}>&-
}

call_off() { [[ ! -e $run/launch.lock ]] || new_ticket; } # what earlier calls have begun, and what is not the service yet

# runs: running, and no start that an earlier call has begun can make another answer of it. systemd begins one process of a
# unit at a time, but a start that it was asked for goes on without who asked, so it is taken back here; stop_unit, as it
# returns when nothing of the unit is left, needs no more.
runs() {
  ! running || return 0
  call_off
  halt_unit
  running
}

halt_unit() {
  local unit
  keeper
  [[ $REPLY != plain ]] || return 0
  unit_name && unit=$REPLY
  unit_folder
  [[ ! -e $REPLY/$unit ]] || manager stop "$unit" || fail "$FAILED" "$unit does not stop: $(last_words)"
}

# launch: starts what LAUNCH_COMMAND, LAUNCH_ENVIRONMENT and LAUNCH_FOLDER say, as our own.
declare -a LAUNCH_COMMAND=() LAUNCH_ENVIRONMENT=()
declare LAUNCH_FOLDER=/
launch() {
  local -r folder=$run/launch
  mkdir -p "$folder" "$data" "$log_dir"
  nul_file "$folder/command" "${LAUNCH_COMMAND[@]}"
  nul_file "$folder/environment" PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 "HOME=$data" \
    ${LAUNCH_ENVIRONMENT[@]+"${LAUNCH_ENVIRONMENT[@]}"}
  put "$folder/folder" <<<"$LAUNCH_FOLDER"
  put "$folder/parameters" <"$run/parameters"
  config_digest
  relaunch "$folder" "config=$REPLY" "version=${INSTALLED[version]}"
  leave_adoption
}

# relaunch FOLDER FACT...: starts what the folder describes; the way of an adopted process too.
relaunch() {
  local folder=$1
  local -a facts=("${@:2}")
  to_bytes "${PARAM[log_max_size]:-$LOG_MAX_BYTES}"
  put "$folder/log" <<<"$REPLY ${PARAM[log_keep]:-$LOG_KEEP}"
  put "$run/launcher.sh" 0700 <"$COMMON/common/launcher.sh"
  unit_name && local -r unit=$REPLY
  keeper
  [[ $REPLY == plain ]] || facts+=("unit=$unit")
  put "$folder/facts" < <(printf '%s\n' "${facts[@]}")
  deadline "$START_TIMEOUT_S"
  if [[ $REPLY == plain ]]; then
    read_identity || :
    clear_leftovers
    new_ticket
    env -i PATH=/usr/local/bin:/usr/bin:/bin setsid -f \
      bash "$run/launcher.sh" become plain "$service_dir" "$folder" "$TICKET" </dev/null >>"$log_dir/$service.log" 2>&1 9>&-
    wait_until running || fail "$FAILED" "$service did not start: $(last_words)"
  else
    write_unit "$unit" "$folder"
    manager enable --quiet "$unit"
    manager restart "$unit" || fail "$FAILED" "$service did not start: $(last_words)"
  fi
  CHANGED=1
}

unit_text() { # unit_text LAUNCH_FOLDER: an adopted process gets no account and no limits that it had not
  local folder=$1
  to_seconds "${PARAM[stop_timeout]:-$STOP_TIMEOUT_S}" && local -r stop_within=$REPLY
  printf '%s\n' '[Unit]' "Description=towline: $service ($KIND)" 'Wants=network-online.target' \
    'After=network-online.target' '' '[Service]' 'Type=exec' \
    "ExecStart=/bin/bash \"$run/launcher.sh\" become unit \"$service_dir\" \"$folder\"" \
    "ExecStartPost=+/bin/bash \"$run/launcher.sh\" record \"$service_dir\" \"$folder\"" \
    'Restart=always' 'RestartSec=2' 'KillMode=mixed' "TimeoutStopSec=$stop_within" 'LimitNOFILE=65536' \
    'SuccessExitStatus=143' # a JVM that ends by TERM
  REPLY=''
  [[ $folder != "$run/launch" ]] || make_account
  if [[ -n $REPLY ]]; then
    printf '%s\n' "User=$REPLY" 'UMask=0077' 'NoNewPrivileges=yes' 'PrivateTmp=yes' 'ProtectSystem=full' \
      'ProtectHome=read-only' 'ProtectKernelTunables=yes' 'ProtectControlGroups=yes' 'RestrictSUIDSGID=yes' \
      "ReadWritePaths=\"$data\" \"$log_dir\""
    ! declare -F unit_lines >/dev/null || unit_lines
  fi
  keeper
  printf '%s\n' '' '[Install]' "WantedBy=$([[ $REPLY == user ]] && echo default.target || echo multi-user.target)"
}

write_unit() { # write_unit UNIT LAUNCH_FOLDER
  local before=$CHANGED
  [[ $2 != "$run/launch" ]] || give_account
  unit_folder
  mkdir -p "$REPLY"
  CHANGED=0
  put "$REPLY/$1" 0644 < <(unit_text "$2")
  ((CHANGED == 0)) || manager daemon-reload
  ((CHANGED |= before)) || :
}

# patient_unit FILE: a stop_timeout of after the start counts, too: when the manager's own bound ends, it kills with -9.
patient_unit() {
  local line text='' bound=''
  to_seconds "${PARAM[stop_timeout]:-$STOP_TIMEOUT_S}" && local -r stop_line="TimeoutStopSec=$REPLY"
  while IFS= read -r line; do
    [[ $line != TimeoutStopSec=* ]] || { bound=$line && line=$stop_line; }
    text+=$line$'\n'
  done <"$1"
  [[ -n $bound && $bound != "$stop_line" ]] || return 0
  put "$1" 0644 < <(printf '%s' "$text")
  manager daemon-reload
}

# stop_unit: with its manager's word, also while the manager is about to start it again.
stop_unit() {
  local unit folder
  keeper
  [[ $REPLY != plain ]] || return 0
  unit_name && unit=$REPLY
  unit_folder && folder=$REPLY
  [[ -e $folder/$unit ]] || return 0
  if manager is-enabled --quiet "$unit" 2>/dev/null || manager is-active --quiet "$unit"; then
    patient_unit "$folder/$unit"
    did "stopped $unit"
  fi
  manager disable --quiet --now "$unit" || fail "$FAILED" "$unit does not stop: $(last_words)"
}

clear_leftovers() {
  deadline 3
  wait_until end_leftovers TERM || wait_until end_leftovers KILL || pause 0.2
}

forget_unit() {
  local folder unit
  keeper && [[ $REPLY != plain ]] || return 0
  unit_folder && folder=$REPLY
  unit_name && unit=$REPLY
  [[ -e $folder/$unit ]] || return 0
  manager disable --quiet "$unit"
  remove_file "$folder/$unit"
  manager daemon-reload
  manager reset-failed "$unit" 2>/dev/null || :
}

# last_words: the end of the service's own output, for the reason of a failed start. All of it: what speaks of trouble has no
# words in common (Redis' is `Wrong signature trying to load DB`).
# The log's folder may belong to the service's account: a link that it put there leads nobody to another file.
last_words() {
  dd if="$log_dir/$service.log" iflag=nofollow bs=64k status=none 2>/dev/null | tail -n 4 | tr -c '[:print:]' ' ' | tail -c 400 || :
}
