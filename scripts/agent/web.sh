# shellcheck shell=bash
# web.sh: asking over HTTP with what this host has, curl or wget, through the proxies of the environment.

# How long a connection may take, and how long it may be silent, in seconds
readonly WEB_CONNECT_S=15 WEB_SILENT_S=30

# web_command TOOL OPTION... -> COMMAND: curl or wget, without the settings of whoever calls. CA_FILE, if set, is trusted
# instead of the system's certificates: whoever asks tries one and then the other.
declare -a COMMAND=()
CA_FILE='' OWN_CA='' # OWN_CA: what the settings of this host name, where this call names none
web_command() {
  case $1 in
    curl) COMMAND=(curl -q -sSL --proto '=http,https' --max-redirs 5 --connect-timeout "$WEB_CONNECT_S" ${CA_FILE:+--cacert "$CA_FILE"}) ;;
    wget) COMMAND=(wget --no-config --no-verbose --tries=1 --max-redirect=5 --connect-timeout="$WEB_CONNECT_S" --read-timeout="$WEB_SILENT_S" ${CA_FILE:+--ca-certificate="$CA_FILE"}) ;;
  esac
  COMMAND+=("${@:2}")
}
has() { command -v -- "$1" >/dev/null; }

# ask_web URL [NOVERIFY] -> STATUS and DATE (seconds, or empty) of the answer; false when there is none: REPLY says why.
declare -i STATUS=0
DATE=''
ask_web() {
  local said line code=0 CA_FILE=${OPTIONS['ca-file']-$OWN_CA}
  STATUS=0 DATE=''
  said=$(web_headers "$@" 2>&1) || code=$?
  if [[ -n $CA_FILE ]] && is_about_certificates "$said"; then # one that the system's vouch for will do
    CA_FILE=''
    ! line=$(web_headers "$@" 2>&1) || code=0 said=$line
  fi
  while IFS= read -r line; do
    line=${line%$'\r'}
    # The last answer counts: before it there may be a redirect, or the proxy's own.
    [[ ! $line =~ ^\ *HTTP/[0-9.]+\ ([0-9]{3}) ]] || STATUS=${BASH_REMATCH[1]}
    [[ ! $line =~ ^\ *[Dd]ate:\ *(.{20,40})$ ]] || DATE=$(date -u -d "${BASH_REMATCH[1]}" +%s 2>/dev/null) || DATE=''
  done <<<"$said"
  if ((code != 0 || STATUS == 0 || STATUS == 407)); then
    explain_web "$1" "$said"
    return 1
  fi
}

web_headers() {
  if has curl; then
    web_command curl ${2:+--insecure} --max-time 40 -o /dev/null -D - "$1" # not -f: a 404 is an answer
    "${COMMAND[@]}" 2>&1
  else
    web_command wget ${2:+--no-check-certificate} --server-response -O /dev/null "$1"
    "${COMMAND[@]}" 2>&1 || (($? == 8)) # 8: answered, with an error
  fi
}

is_about_certificates() { [[ $1 =~ ([Cc]ertificate|SSL\ peer|unable\ to\ get\ local\ issuer) ]]; }

# explain_web URL SAID -> REPLY: what went wrong, in words that say whose business it is.
explain_web() {
  local -r url=$1 said=$2
  local host=${1#*://} proxy
  host=${host%%/*} host=${host##*@}
  proxy_of "$url" && proxy=$REPLY || proxy=''
  local -r through=${proxy:+ through the proxy $proxy}
  case $said in
    *' 407' | *' 407'[!0-9]* | *'roxy Authentication'*) REPLY="the proxy $proxy wants a user and a password (407), or refuses those it got: https_proxy=http://USER:PASSWORD@…, percent-encoded" ;;
    *'not yet valid'* | *'not yet activated'* | *'has expired'* | *'is expired'*) REPLY="$host: TLS: its certificate is not valid at the time that this host's clock shows ($(date -u +'%Y-%m-%d %H:%M UTC'))" && about_clock "$url" ;;
    *'esolve proxy'*) REPLY="the name of the proxy $proxy cannot be resolved" ;;
    *'ould not resolve'* | *'unable to resolve'* | *'Name or service'*) REPLY="the name ${host%:*} cannot be resolved: look at /etc/resolv.conf, or is a proxy to be set (https_proxy)?" ;;
    *'CONNECT tunnel failed'* | *'from proxy after CONNECT'* | *'roxy tunneling failed'*) REPLY="the proxy $proxy will not connect to $host: $(last_line "$said")" ;;
    *'imed out'* | *[Tt]imeout*) REPLY="no answer from $host$through in time: a firewall, or is a proxy to be set (https_proxy)?" ;;
    *refused* | *'onnect to'* | *'No route'* | *unreachable*) REPLY="nothing can be reached at ${proxy:-$host} (TCP)${proxy:+, the proxy}: $(last_line "$said")" ;;
    *[Cc]ertificate* | *'local issuer'*) REPLY="$host: TLS: its certificate is not vouched for by anyone this host trusts (a private CA: --ca-file; or somebody stands between): $(last_line "$said")" ;;
    *SSL* | *TLS*) REPLY="$host: the TLS handshake fails$through: $(last_line "$said")" ;;
    *) REPLY="$host: no proper answer over HTTP$through: $(last_line "$said")" ;;
  esac
}

last_line() { # last_line TEXT: that, or the one where curl and wget say what is wrong
  local line found=''
  while IFS= read -r line; do
    [[ -z ${line//[[:space:]]/} ]] || found=$line
    [[ ! $line =~ ^(curl: \(|ERROR|wget: ) ]] || break
  done <<<"$1"
  printf '%s' "${found:0:300}"
}

# about_clock URL: adds to REPLY what the other side's clock shows. It is asked without verifying it and nothing but the
# words depends on it.
about_clock() {
  local -r told=$REPLY
  local date=''
  if has curl; then date=$(web_headers "$1" unverified 2>/dev/null | tr -d '\r' | sed -n 's/^[Dd]ate: //p' | tail -n 1) || date=''; fi
  date=$(date -u -d "$date" +%s 2>/dev/null) || date=''
  REPLY=$told
  [[ -z $date ]] || skew_of "$date" || REPLY="$told. $REPLY"
}

# skew_of SECONDS: false when the clock is more than two minutes from that moment; REPLY says how much, and what to do.
skew_of() {
  local -i now off
  now=$(date +%s)
  ((off = now - $1)) || :
  REPLY=''
  ((off > 120 || off < -120)) || return 0
  local way=ahead
  ((off > 0)) || { way=behind && ((off = -off)); }
  duration "$off"
  REPLY="The clock of this host is $REPLY $way of the backend's. Set it (timedatectl set-ntp true; or date -u -s '@$1') and keep it right (chrony, systemd-timesyncd)"
  return 1
}

duration() { # duration SECONDS -> REPLY
  local -i s=$1
  if ((s >= 172800)); then REPLY="$((s / 86400)) days"; elif ((s >= 7200)); then REPLY="$((s / 3600)) hours"; elif ((s >= 300)); then REPLY="$((s / 60)) minutes"; else REPLY="$s seconds"; fi
}

# proxy_of URL -> REPLY: the proxy that the environment names for it, without user and password; false when none does.
proxy_of() {
  local host=${1#*://} name proxy
  host=${host%%/*} host=${host##*@} host=${host%:*}
  REPLY=''
  case $1 in https:*) proxy=${https_proxy:-${HTTPS_PROXY:-${all_proxy:-${ALL_PROXY-}}}} ;; *) proxy=${http_proxy:-${all_proxy:-${ALL_PROXY-}}} ;; esac
  [[ -n $proxy ]] || return 1
  local -a exceptions
  IFS=', ' read -ra exceptions <<<"${no_proxy:-${NO_PROXY-}}"
  for name in ${exceptions[@]+"${exceptions[@]}"}; do
    name=${name#\*} name=${name#.}
    [[ -n $name ]] || return 1
    [[ $host != "$name" && $host != *."$name" ]] || return 1
  done
  proxy=${proxy#*://}
  REPLY=${proxy##*@}
  REPLY=${REPLY%%/*}
}

# The proxies of an earlier install stand in for those that this shell does not set.
readonly PROXY_VARIABLES='http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY'
proxies_known() {
  local name value
  for name in $PROXY_VARIABLES; do [[ -z ${!name-} ]] || return 0; done
  [[ -r $prefix/etc/proxy.env ]] || return 0
  while IFS='=' read -r name value; do
    [[ " $PROXY_VARIABLES " != *" $name "* ]] || export "$name=$value"
  done <"$prefix/etc/proxy.env"
}

# keep_proxies: into the file that the unit and the cron line read. Nobody but the owner sees it: it may have a password.
keep_proxies() {
  local name
  local -a lines=()
  for name in $PROXY_VARIABLES; do [[ -z ${!name-} ]] || lines+=("$name=${!name}"); done
  ((${#lines[@]})) || return 0
  mkdir -p "$prefix/etc"
  put "$prefix/etc/proxy.env" 0600 < <(printf '%s\n' "${lines[@]}")
}
