#!/usr/bin/env bash
# A puller for tests: holds the lock, answers alive, and misbehaves as the word in its release's file `behaviour` says.
root=$(readlink -f -- "${BASH_SOURCE[0]}") root=${root%/bin/*}
[[ $0 == "$root"/* ]] || exec bash "$root/bin/towline-puller" "$@"
read -r behaviour <"$root/behaviour"
prefix=$2 command=$3 id=${root##*/}

run() {
  [[ $behaviour != crash ]] || { echo "ImportError: no module named towline ($id)" >&2 && exit 1; }
  mkdir -p "$prefix/state" "$prefix/run"
  exec 9<>"$prefix/state/lock"
  flock -w 0.25 9 || exit 0
  : >"$prefix/state/lock"
  echo $$ >&9
  echo "$id" >>"$prefix/state/starts"
  trap 'exit 0' TERM
  [[ $behaviour != deaf ]] || trap : TERM
  [[ $behaviour == hang || $behaviour == deaf ]] || echo "$$" >"$prefix/run/answers"
  while :; do sleep 1 9>&- & wait $!; done
}

alive() {
  local pid='' passes=1 delivered=1 sink=yes reason=Converged ready=True good=2
  exec 9<"$prefix/state/lock" 2>/dev/null || { echo state=not-running && exit 3; }
  if flock -n -s 9; then echo state=not-running && exit 3; fi
  read -r pid <&9
  [[ $(cat "$prefix/run/answers" 2>/dev/null) == "$pid" ]] || { printf 'state=not-serving\npid=%s\nrelease=%s\n' "$pid" "$id" && exit 1; }
  case $behaviour in no-pass) passes=0 delivered=0 ;; no-report) delivered=0 ;; no-sink) delivered=0 sink=no ;; esac
  [[ ! -e $prefix/backend-away ]] || delivered=0
  case $behaviour in failing) ready=False good=7200 ;; never-good) ready=False good='' ;; esac
  [[ ! -e $prefix/disk-full ]] || { passes=0 delivered=0 reason=DiskFull; }
  printf '%s\n' state=serving "pid=$pid" version=1 "release=$id" up_s=3 "passes=$passes" pass_age_s=2 "good_pass_age_s=$good" \
    "delivered=$delivered" "sink=$sink" "ready=$ready" "reason=$reason" message='all is as declared'
}

enroll() {
  local token json
  read -r token
  tr '\0' '\n' <"/proc/$$/environ" >"$prefix/enrolment" && tr '\0' ' ' <"/proc/$$/cmdline" >>"$prefix/enrolment"
  [[ $behaviour != refused ]] || { echo 'the backend refuses the join token (403)' >&2 && exit 1; }
  json=$(tr '_-' '/+' <<<"${token#towline-join-1.}" | base64 -di 2>/dev/null)
  mkdir -p "$prefix/etc" "$prefix/state/keys"
  echo key >"$prefix/state/keys/identity" && echo trust >"$prefix/state/trust.note"
  [[ $json =~ \"host\":\"([^\"]*)\" ]] && printf 'host = "%s"\n' "${BASH_REMATCH[1]}" >"$prefix/etc/puller.toml"
  [[ $json =~ \"backend_url\":\"([^\"]*)\" ]] && printf 'backend_url = "%s"\n' "${BASH_REMATCH[1]}" >>"$prefix/etc/puller.toml"
}

adjust() {
  echo "${*:4}" >>"$prefix/adjusted"
  [[ $* != *--git-url* ]] || printf '[source]\nurl = "%s"\n' "${*##*--git-url }" >>"$prefix/etc/puller.toml"
}

case $command in
  run | alive | enroll) "$command" ;;
  adjust) adjust "$@" ;;
  plan) echo '1 step: start of web' && exit 2 ;;
  once) echo 'Ready: converged' ;;
  withdraw) echo "${*:3}" >>"$WITHDRAWN" && echo '1 service goes: web' ;;
  *) exit 2 ;;
esac
