#!/usr/bin/env bats
# process.bats: scripts/common/process.sh

bats_require_minimum_version 1.5.0
load prelude

setup() { begin; }

setup_file() { # a process to look at, whose name tries to look like more fields
  cp "$(command -v sleep)" "$BATS_FILE_TMPDIR/a) R 1 2"
  "$BATS_FILE_TMPDIR/a) R 1 2" 300 >/dev/null 3>&- &
  echo "$!" >"$BATS_FILE_TMPDIR/pid"
}

teardown_file() { kill "$(<"$BATS_FILE_TMPDIR/pid")" || true; }

identity() { # identity PID START BOOT
  printf 'pid=%s\nstart_time=%s\nboot_id=%s\n' "$@" >"$run/identity"
  read_identity
}

@test "a process is itself by boot, pid and start together" {
  pid=$(<"$BATS_FILE_TMPDIR/pid")
  process_stat "$pid"
  start=$START_TIME
  boot_id
  boot=$REPLY
  [ "$start" = "$(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20)" ]
  identity "$pid" "$start" "$boot"
  alive
  identity "$pid" "$((start + 1))" "$boot"
  run ! alive
  identity "$pid" "$start" "another-boot"
  run ! alive
}

@test "an identity that is not whole is none" {
  printf 'pid=1\nstart_time=\nboot_id=x\n' >"$run/identity"
  run ! read_identity
  printf 'pid=a[$(touch %s/canary)]\nstart_time=1\nboot_id=x\n' "$BATS_TEST_TMPDIR" >"$run/identity"
  run ! read_identity
  [ ! -e "$BATS_TEST_TMPDIR/canary" ]
}

@test "no signal goes to a pid that is another process now" {
  pid=$(<"$BATS_FILE_TMPDIR/pid")
  boot_id
  identity "$pid" 1 "$REPLY"
  signal KILL
  kill -0 "$pid"
}

@test "ports that a process listens on are told, of both families, and those of others are not" {
  exec 5< <(exec python3 -u -c 'import socket, time
told, more = socket.create_server(("127.0.0.1", 0)), None
try: more = socket.create_server(("::1", 0), family=socket.AF_INET6)
except OSError: pass
print(told.getsockname()[1], more.getsockname()[1] if more else "")
time.sleep(300)' 3>&-)
  pid=$!
  read -r first second <&5
  listening_ports "$pid"
  kill "$pid"
  [ "${LISTENING[*]}" = "$first${second:+ $second}" ]
  [[ ${EXE##*/} == python3* ]]
  listening_ports "$$"
  [ "${#LISTENING[@]}" -eq 0 ]
}

@test "of a process with many open files the same is told, by a program that reads them" {
  exec 5< <(exec python3 -u -c 'import os, socket, time
told = socket.create_server(("127.0.0.1", 0))
kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(300)]
print(told.getsockname()[1])
time.sleep(300)' 3>&-)
  pid=$!
  read -r port <&5
  run ! read_links "$pid"
  listening_ports "$pid"
  kill "$pid"
  [ "${LISTENING[*]}" = "$port" ]
  [[ ${EXE##*/} == python3* ]]
}

@test "open files that bash reads itself are those that find tells" {
  (($(uname -r | cut -d . -f 1) >= 6)) || skip 'this kernel does not tell the inode'
  exec 6<>"/dev/udp/127.0.0.1/9"
  pid=$$
  read_links "$pid"
  found=$(find "/proc/$pid/exe" "/proc/$pid/fd" -maxdepth 1 \( -name exe -o -lname 'socket:*' \) -printf '%f %l\n')
  [ "$(sort <<<"$links")" = "$(tr -d '[]' <<<"${found//socket:/}" | sort)" ]
  exec 6>&-
}

@test "no more of the kernel's table is read than it says there are listening" {
  printf 'TCP: inuse 1 orphan 0\n' >"$run/counts"
  line='0100007F:%s 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 %s 1\n'
  # shellcheck disable=SC2059 # the format of a line
  { printf 'header of it\n' && printf "   0: $line" 0050 71 && printf '%200s\n' '' && printf "   1: $line" 0051 72; } >"$run/table"
  declare -gA port_of=([71]='' [72]='')
  declare -gi unknown=2
  listening_sockets "$run/table" "$run/counts" TCP:
  [ "${port_of[71]} ${port_of[72]} $unknown" = '80  1' ]
  printf 'TCP: inuse 9 orphan 0\n' >"$run/counts"
  port_of=([71]='' [72]='') unknown=2
  listening_sockets "$run/table" "$run/counts" TCP:
  [ "${port_of[71]} ${port_of[72]} $unknown" = '80 81 0' ]
  port_of=([71]='' [72]='') unknown=2
  printf 'TCP: inuse 0 orphan 0\n' >"$run/counts"
  listening_sockets "$run/table" "$run/counts" TCP:
  [ "$unknown" = 2 ]
  listening_sockets "$run/table" "$run/none" TCP:
  [ "$unknown" = 0 ]
}

@test "no more of the kernel's table is read than it takes to know each socket of the process" {
  line='0100007F:%s 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 %s 1\n'
  # shellcheck disable=SC2059 # the format of a line
  { printf 'header of it\n' && printf "   0: $line" 0050 71 && printf '%200s\n' '' && printf "   1: $line" 0051 72; } >"$run/table"
  declare -gA port_of=([71]='')
  declare -gi unknown=1
  exec {table}<"$run/table"
  listening_sockets "/dev/fd/$table" "$run/none" TCP:
  [ "${port_of[*]} $unknown" = '80 0' ]
  port_of=([99]='')
  listening_sockets "$run/no-table-is-opened" "$run/none" TCP:
  [ "$unknown" = 0 ]
}

@test "a process that does not heed TERM is killed within the caller's time, however patient the service is" {
  setsid bash -c 'trap "" TERM; echo "$$" >"$0"; while :; do sleep 0.1; done' "$run/stubborn" >/dev/null 2>&1 3>&- &
  until [ -s "$run/stubborn" ]; do sleep 0.05; done
  pid=$(<"$run/stubborn")
  process_stat "$pid" && start=$START_TIME
  boot_id
  identity "$pid" "$start" "$REPLY"
  TOWLINE_TIMEOUT_S=9 SECONDS=0
  end_process 3600
  run ! alive
}
