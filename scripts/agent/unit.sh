# shellcheck shell=bash
# unit.sh: who keeps the agent (systemd, a user's systemd, cron), and its units.

readonly PULLER_UNIT=towline-puller.service HEALING_UNIT=towline-self-healing.service HEALING_TIMER=towline-self-healing.timer
stop_patience_s=30 # an orderly end takes 3 s; what still hangs then is killed

# find_mode: sets mode. systemd only where unit names cannot collide: for /opt/towline as root, and for a user's own
# prefix where that user's manager outlives the session. The file <prefix>/keeper overrules: root, user, plain (cron) or
# none. False, and REPLY says why, where nobody can keep the agent.
find_mode() {
  local said='' home=''
  mode=cron
  if [[ -r $prefix/keeper ]]; then read -r said <"$prefix/keeper" || :; fi
  case $said in
    root) mode=systemd ;;
    user) mode=user ;;
    none) mode=none ;;
    plain) ;;
    *)
      IFS=: read -r _ _ _ _ _ home _ < <(getent passwd "$EUID") || :
      if ((EUID == 0)); then
        [[ $prefix != "$DEFAULT_PREFIX" || ! -d /run/systemd/system ]] || mode=systemd
      elif [[ -S /run/user/$EUID/systemd/private && -e /var/lib/systemd/linger/$(id -un) ]]; then
        [[ $prefix != "$home/.local/share/towline" ]] || mode=user
      fi
      ;;
  esac
  [[ $mode != cron ]] || cron_can_keep
}

# known_mode: as the install decided. none: nobody looks after it but its own operator (a container's supervisor).
known_mode() {
  value_of mode "$agent/installed" || :
  mode=$REPLY
  [[ $mode =~ ^(systemd|user|cron|none)$ ]] || find_mode || :
}

agent_manager() { # systemctl of whoever keeps the agent; ends in any case
  if [[ $mode == user ]]; then
    XDG_RUNTIME_DIR=/run/user/$EUID timeout -k 5 150 systemctl --user "$@" 7>&-
  else
    timeout -k 5 150 systemctl "$@" 7>&-
  fi
}

agent_unit_folder() { # -> REPLY
  REPLY=/etc/systemd/system
  [[ $mode != user ]] || REPLY=${XDG_CONFIG_HOME:-${HOME:-/nonexistent}/.config}/systemd/user
}

# unit_word TEXT -> REPLY: one quoted word of a unit file, whatever the path holds.
unit_word() {
  REPLY=${1//\\/\\\\} REPLY=${REPLY//\"/\\\"} REPLY=${REPLY//%/%%} REPLY=\"${REPLY//\$/\$\$}\"
}

puller_unit_text() {
  local program below target=multi-user.target
  unit_word "$agent/current/bin/towline-puller" && program=$REPLY
  unit_word "$prefix" && below=$REPLY
  printf '%s\n' '# Written by agentctl.sh; a change by hand is taken back. Your own settings: systemctl edit towline-puller' \
    '[Unit]' 'Description=towline puller: keeps this host as its signed document declares'
  [[ $mode == user ]] || printf '%s\n' 'After=network.target' # it does not wait to be online: it heals without a network
  printf '%s\n' 'StartLimitIntervalSec=0' "ConditionPathExists=!${agent//%/%%}/stopped" '' \
    '[Service]' 'Type=notify' 'NotifyAccess=main' "ExecStart=$program --prefix $below run" \
    "EnvironmentFile=-${prefix//%/%%}/etc/proxy.env" 'WatchdogSec=120' 'Restart=always' 'RestartSec=5' \
    'TimeoutStartSec=90' "TimeoutStopSec=$stop_patience_s" 'OOMPolicy=continue' \
    '# A step that runs, and a service in its own session, are not stopped with the agent.' 'KillMode=process' \
    'Slice=towline-agent.slice'
  hardening
  [[ $mode != user ]] || target=default.target
  printf '%s\n' '' '[Install]' "WantedBy=$target"
}

# hardening: what no step ever needs. docs/agent.md says why the rest stays open. Not ProtectControlGroups= nor
# ProtectKernelTunables=: in a container of systemd-nspawn they show, until systemd 252, the boot id of the machine
# below, so that no process that was written down in this boot would be known again.
hardening() {
  printf '%s\n' '' 'UMask=0077' 'NoNewPrivileges=yes' 'LockPersonality=yes' 'RestrictRealtime=yes' \
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK' 'SystemCallArchitectures=native'
  [[ $mode != user ]] || return 0
  printf '%s\n' 'ProtectSystem=yes' 'ProtectHome=read-only' \
    "ReadWritePaths=\"${prefix//%/%%}\"" 'PrivateDevices=yes' 'ProtectClock=yes' 'ProtectHostname=yes' \
    'ProtectKernelLogs=yes' 'ProtectKernelModules=yes' 'RestrictNamespaces=yes' \
    'RestrictSUIDSGID=yes' 'KeyringMode=private' 'SystemCallErrorNumber=EPERM' \
    'SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap' \
    "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID\
 CAP_SETUID CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_IPC_LOCK CAP_SYS_PTRACE CAP_SYS_RESOURCE CAP_SYS_NICE CAP_AUDIT_WRITE"
}

healing_unit_text() {
  local stub
  unit_word "$agent/self_healing" && stub=$REPLY
  printf '%s\n' '# Written by agentctl.sh.' '[Unit]' 'Description=towline: looks after the puller' '' \
    '[Service]' 'Type=oneshot' "ExecStart=/bin/sh $stub" 'TimeoutStartSec=300' 'Slice=towline-agent.slice' \
    '# Only what it did reaches the journal, not that it ran.' 'SyslogLevel=notice' 'LogLevelMax=notice'
  hardening
}

healing_timer_text() {
  printf '%s\n' '# Written by agentctl.sh.' '[Unit]' 'Description=towline: looks after the puller every minute' '' \
    '[Timer]' 'OnBootSec=60' 'OnUnitActiveSec=60' 'AccuracySec=5' '' '[Install]' 'WantedBy=timers.target'
}

# self_healing_text: what timer and cron run: the script of the release that proved itself, else of any that is there.
self_healing_text() {
  cat <<SH
#!/bin/sh
# Written by agentctl.sh: what its timer or cron runs every minute.
cd / && agent=$(sh_word "$agent")
for of in "\$agent/good" "\$agent/current" "\$agent/releases"/*; do
  [ ! -r "\$of/ctl/agentctl.sh" ] || exec bash "\$of/ctl/agentctl.sh" self_healing --prefix $(sh_word "$prefix")
done
echo "no release is left below \$agent/releases: run the command of towline host invite again" >&2
exit 5
SH
}

sh_word() { printf "'%s'" "${1//\'/\'\\\'\'}"; } # one word for /bin/sh

# keep_install: from now on somebody keeps the agent: units or a cron line, as `mode` says. REPLY: 1 when that changed
# anything. Starts the timer, never the agent.
keep_install() {
  local folder
  CHANGED=0
  agent_unit_folder && folder=$REPLY
  keep_facts "$folder"
  put "$agent/self_healing" 0700 < <(self_healing_text)
  case $mode in
    systemd | user)
      (umask 022 && mkdir -p "$folder")
      put_units "$folder"
      agent_manager enable --quiet "$PULLER_UNIT" "$HEALING_TIMER"
      agent_manager start "$HEALING_TIMER"
      cron_remove
      ;;
    cron) cron_install ;;
  esac
  REPLY=$CHANGED
}

# keep_again: what keeps the agent and was removed by somebody is there again; false where it cannot be written.
keep_again() {
  case $mode in
    systemd | user) units_again ;;
    cron) cron_keeps || { cron_install && healed 'the cron line was gone: it is there again'; } ;;
  esac
}

# units_again: those that are gone, unless others have taken the names. Nothing is written where all are there.
units_again() {
  local unit folder
  local -a gone=()
  [[ $mode == systemd || $mode == user ]] || return 0
  agent_unit_folder && folder=$REPLY
  for unit in "$PULLER_UNIT" "$HEALING_UNIT" "$HEALING_TIMER"; do
    if [[ ! -e $folder/$unit && ! -L $folder/$unit ]]; then gone+=("$unit"); else is_our_unit "$folder/$unit" || return 0; fi
  done
  ((${#gone[@]})) || return 0
  if write_units "$folder" "${gone[@]}" && agent_manager daemon-reload && agent_manager enable --quiet "$PULLER_UNIT" "$HEALING_TIMER" && agent_manager start "$HEALING_TIMER"; then
    healed "${gone[*]} was gone: there again"
  else
    healed "${gone[*]} is gone and cannot be put back below $folder: agentctl.sh install does it when what is wrong there is mended"
    return 1
  fi
}

write_units() { # write_units FOLDER UNIT...: each whole or not at all, also on a full disk
  local unit
  local -a lines
  for unit in "${@:2}"; do
    mapfile -t lines < <(text_of_unit "$unit")
    write_facts "$1/$unit" "${lines[@]}" && chmod 0644 "$1/$unit" || return 1
  done
}

text_of_unit() { # text_of_unit UNIT
  case $1 in
    "$PULLER_UNIT") puller_unit_text ;;
    "$HEALING_UNIT") healing_unit_text ;;
    "$HEALING_TIMER") healing_timer_text ;;
  esac
}

# put_units FOLDER: daemon-reload only when one changed. Since when the agent's own unit is as it is, a file remembers, by
# the uptime: an agent that is older than its unit needs a restart.
put_units() {
  local -i before=CHANGED puller
  CHANGED=0
  put "$1/$PULLER_UNIT" 0644 < <(puller_unit_text)
  puller=CHANGED
  if ((puller)); then remember_unit_change; fi
  put "$1/$HEALING_UNIT" 0644 < <(healing_unit_text)
  put "$1/$HEALING_TIMER" 0644 < <(healing_timer_text)
  ((CHANGED == 0)) || agent_manager daemon-reload
  ((CHANGED |= before)) || :
}

remember_unit_change() {
  local boot
  this_boot && boot=$REPLY
  uptime_s
  put "$agent/unit_changed" <<<"boot_id=$boot"$'\n'"uptime_s=$REPLY"
}

# unit_is_newer: whether the agent that runs (puller_runs) was started before its unit became what it is.
unit_is_newer() {
  local -i changed
  this_boot
  local -r boot=$REPLY
  value_of boot_id "$agent/unit_changed" && [[ $REPLY == "$boot" ]] || return 1
  value_of uptime_s "$agent/unit_changed" && [[ $REPLY =~ ^[0-9]{1,10}$ ]] || return 1
  changed=$REPLY
  ((PULLER_START / $(getconf CLK_TCK) < changed))
}

# keep_facts UNIT_FOLDER: what keep_remove and known_mode must know; before anything is made. made: the topmost folder
# that was not there.
keep_facts() {
  local folder=$1 made=''
  value_of mode "$agent/installed" || :
  if [[ $REPLY != "$mode" ]]; then
    put "$agent/installed" 0644 < <(printf 'mode=%s\n' "$mode" && sed '/^mode=/d' "$agent/installed" 2>/dev/null)
  fi
  [[ $mode == user && ! -d $folder && ! -e $agent/made ]] || return 0
  while [[ $folder == /?* && ! -e $folder ]]; do made=$folder folder=${folder%/*}; done
  put "$agent/made" <<<"unit_folder=$1"$'\n'"made=$made"
}

# keep_remove: nobody keeps the agent any more, whoever did. Only units that name this very prefix.
keep_remove() {
  local -r before=$mode
  if ((EUID == 0)); then mode=systemd && remove_units; fi
  mode=user && remove_units
  mode=$before
  cron_remove
  [[ ! -e $agent/self_healing ]] || unlink "$agent/self_healing"
}

remove_units() {
  local unit folder
  local -a our_units=()
  agent_unit_folder && folder=$REPLY
  for unit in "$HEALING_TIMER" "$HEALING_UNIT" "$PULLER_UNIT"; do
    unlink_lost "$folder" "$unit"
    ! is_our_unit "$folder/$unit" || our_units+=("$unit")
  done
  ((${#our_units[@]})) || return 0
  agent_manager disable --quiet --now "${our_units[@]}" 2>/dev/null || agent_manager disable --quiet "${our_units[@]}" 2>/dev/null || :
  for unit in "${our_units[@]}"; do unlink "$folder/$unit"; done
  agent_manager daemon-reload 2>/dev/null || :
  agent_manager reset-failed "${our_units[@]}" 2>/dev/null || : # one that did not fail is not known any more
  for unit in towline-agent.slice towline.slice; do
    ! slice_is_empty "$unit" || agent_manager stop "$unit" 2>/dev/null || :
  done
}

unlink_lost() { # unlink_lost FOLDER UNIT: what `enable` made of a unit that somebody has removed since
  local link
  for link in "$1"/*.wants/"$2"; do
    [[ $(readlink -- "$link" 2>/dev/null) != "$1/$2" || -e $link ]] || unlink "$link"
  done
}

# slice_is_empty SLICE: no process is left in it. Services in their own session, which the agent has started, may be: the
# slice goes with the last of them, and is never stopped over their heads.
slice_is_empty() {
  local group root
  group=$(agent_manager show --value -p ControlGroup "$1" 2>/dev/null) && [[ $group == /?* ]] || return 1
  for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [[ ! -d $root$group || -z $(find "$root$group" -name cgroup.procs -exec cat {} + 2>/dev/null) ]] || return 1
  done
}

is_our_unit() { # the timer names no path, but belongs to the service beside it
  [[ -f $1 && ! -L $1 ]] || return 1
  grep -qF -e "${agent//%/%%}/" "${1%.timer}" 2>/dev/null || grep -qF -e "${agent//%/%%}/" "${1%.timer}.service" 2>/dev/null ||
    [[ $1 == *.timer && ! -e ${1%.timer}.service ]]
}
