# shellcheck shell=bash
# admin.sh: the declared password opens Nacos for the user nacos: set where nobody has one, changed where it is another.
#
# Up to 2.3 upstream's tables hold the user nacos with the password nacos, and an upgrade keeps it; from 2.4 on there is no
# such user until its first password is set. Nacos asks its memory who may log in, which it reads anew every 15 s, for the
# first time some seconds after its start.

readonly ACCOUNTS_S=60 # for two such rounds, on a busy host

admin_password_fits() {
  secret_text admin_password
  [[ $REPLY != *[[:cntrl:]]* ]] || problem admin_password 'has a line end or another control character'
  [[ -z $REPLY || $REPLY == *[!\ ]* ]] || problem admin_password 'is of blanks alone, which Nacos takes for none'
  ((${#REPLY} <= 72)) || problem admin_password 'is longer than 72 bytes, of which Nacos 3 takes none and Nacos 2 the first 72'
}

# admin_password_counts: whatever was the password before, of which nobody here knows.
admin_password_counts() {
  wanted_secret admin_password
  [[ -n ${SECRET[admin_password]-} ]] || return 0
  to_seconds "${PARAM[start_timeout]}" && wait_healthy "$REPLY"
  secret_text admin_password && form_text "$REPLY"
  local -r password=$REPLY
  ! opens "$password" || return 0
  first_password "$password"
  deadline "$ACCOUNTS_S"
  wait_until known "$password" || fail "$FAILED" 'has no user nacos for admin_password: make one on the console, or take admin_password out of the document'
  [[ $LOGIN != open ]] || return 0
  change_password "$password"
  deadline "$ACCOUNTS_S"
  wait_until opens "$password" || fail "$FAILED" "does not let the user nacos in with admin_password, which it has taken: HTTP ${HTTP_STATUS:-has no answer}"
}

# opens PASSWORD: at the console, from Nacos 3 on, and at port. Sets LOGIN: open, refused, or unknown while it knows no
# user nacos. A login that is refused has the HTTP status 0 up to 2.3.
declare LOGIN=''
opens() {
  local -r form="username=nacos&password=$1"
  LOGIN=refused
  if is_three; then
    ask_accounts "${PARAM[console_port]}" POST /v3/auth/user/login "$form" || :
    if ! let_in; then
      [[ $REPLY != *'User nacos not found'* ]] || LOGIN=unknown
      return 1
    fi
    ask_accounts "${PARAM[port]}" POST "${PARAM[context_path]}/v3/auth/user/login" "$form" || :
  else
    ask_accounts "${PARAM[port]}" POST "${PARAM[context_path]}/v1/auth/login" "$form" || :
  fi
  [[ $REPLY != *'User nacos not found'* ]] || LOGIN=unknown
  let_in || return 1
  LOGIN=open
}

let_in() { [[ $HTTP_STATUS == 200 && $REPLY == *'"accessToken":"'* ]]; }
known() { opens "$1" || [[ $LOGIN == refused ]]; }

# first_password PASSWORD: Nacos takes it from anybody, as long as it has no administrator.
first_password() {
  [[ ! ${INSTALLED[program]} =~ ^2\.[123]\. ]] || return 0
  accounts_path admin
  ask_accounts "${PARAM[port]}" POST "$REPLY" "password=$1" || fail "$FAILED" 'does not answer when the password of the user nacos is set'
  if [[ $HTTP_STATUS == 200 && $REPLY =~ \"code\":(0|200)[,}] ]]; then # the answer has the password in it
    did 'set the password of the user nacos'
  elif [[ $HTTP_STATUS != 409 && ! $REPLY =~ \"code\":409 ]]; then # 409: there is one, of whom it does not know yet
    fail "$FAILED" "refuses to set the password of the user nacos: HTTP $HTTP_STATUS"
  fi
}

change_password() { # change_password PASSWORD
  signed_login
  local -r login=$REPLY
  accounts_path
  ask_accounts "${PARAM[port]}" PUT "$REPLY" "username=nacos&newPassword=$1" "Authorization: Bearer $login" || fail "$FAILED" 'does not answer when the password of the user nacos is changed'
  [[ $HTTP_STATUS == 200 && $REPLY =~ \"code\":(0|200)[,}] ]] || fail "$FAILED" "refuses to change the password of the user nacos: HTTP $HTTP_STATUS"
  did 'changed the password of the user nacos to the declared one'
}

accounts_path() { # accounts_path [WHAT] -> REPLY
  REPLY=/v1/auth/users
  ! is_three || REPLY=/v3/auth/user
  REPLY=${PARAM[context_path]}$REPLY${1:+/$1}
}

ask_accounts() { # ask_accounts PORT METHOD PATH FORM [HEADER] -> REPLY
  reachable "${PARAM[bind]}"
  http_form "$REPLY" "$@"
}

# signed_login -> REPLY: a login of the user nacos for a minute, signed as Nacos signs its own (a JWT, HS256): whoever has the
# token_secret may make one, and needs no password to change a password.
signed_login() {
  local text now
  property_of "$etc/application.properties" nacos.core.auth.plugin.nacos.token.secret.key
  local -r secret=$REPLY
  printf -v now '%(%s)T' -1
  base64_url < <(printf '{"sub":"nacos","exp":%s}' "$((now + 60))")
  text=eyJhbGciOiJIUzI1NiJ9.$REPLY # {"alg":"HS256"}
  hmac_sha256 "$secret" "$text"
  REPLY=$text.$REPLY
}

base64_url() { # -> REPLY: standard input, as a JWT has it
  REPLY=$(exec base64 -w 0)
  REPLY=${REPLY//+/-} REPLY=${REPLY//\//_} REPLY=${REPLY%%=*}
}

# hmac_sha256 KEY TEXT -> REPLY: KEY as base64, REPLY as a JWT has it. openssl would want the key as an argument.
hmac_sha256() {
  local hex inner outer
  local -i index
  hex_of < <(exec base64 -d < <(printf '%s' "$1")) && hex=$REPLY
  ((${#hex} <= 128)) || { sha256_of "$hex" && hex=$REPLY; }
  while ((${#hex} < 128)); do hex+='0'; done
  for ((index = 0; index < 128; index += 2)); do
    printf -v REPLY '%02x%02x' "$((16#${hex:index:2} ^ 0x36))" "$((16#${hex:index:2} ^ 0x5c))"
    inner+=${REPLY:0:2} outer+=${REPLY:2}
  done
  hex_of < <(printf '%s' "$2") && sha256_of "$inner$REPLY" && sha256_of "$outer$REPLY"
  base64_url < <(bytes_of "$REPLY")
}

hex_of() { # -> REPLY: standard input
  REPLY=$(exec od -An -v -tx1)
  REPLY=${REPLY//[[:space:]]/}
}

bytes_of() { # bytes_of HEX
  local -i index
  for ((index = 0; index < ${#1}; index += 2)); do printf '%b' "\\x${1:index:2}"; done
}

sha256_of() { # sha256_of HEX -> REPLY: as HEX
  REPLY=$(exec sha256sum < <(bytes_of "$1"))
  REPLY=${REPLY%% *}
}
