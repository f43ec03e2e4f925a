# shellcheck shell=bash
# keystore.sh: what is secret. elasticsearch.keystore is made by upstream's own program, whenever what it is made of changes:
# etc/keystore.digest tells, with the salt that makes it say nothing about passwords.

secrets_fit() {
  local line
  local -i number=0
  if [[ ${PARAM[security]} == true ]]; then
    [[ -n ${SECRET[password]-} ]] || problem password 'is needed for security'
    [[ -z ${PARAM[seeds]} || -n ${PARAM[transport_certificate]} ]] || problem transport_certificate 'is needed for security among several nodes'
  fi
  secret_text password
  [[ $REPLY != *[[:cntrl:]]* && ${#REPLY} -le 128 ]] || problem password 'has a control character, or more than 128 bytes'
  [[ -z ${SECRET[password]-} || ${#REPLY} -ge 6 ]] || problem password 'is shorter than 6 bytes'
  secret_text keystore
  while IFS= read -r line; do
    number+=1
    [[ $line =~ ^([a-z][A-Za-z0-9_.-]*=[^[:cntrl:]]+)?$ && $line != bootstrap.password=* ]] || problem keystore "its line $number is not name=value, or is bootstrap.password" # the value is not shown
  done < <(printf '%s\n' "$REPLY")
  certificates_fit
}

certificates_fit() {
  local name
  secret_text transport_key
  [[ -z $REPLY || $REPLY == *-----BEGIN*PRIVATE\ KEY-----* ]] || problem transport_key 'is no private key in PEM'
  [[ -z ${PARAM[transport_certificate]} || -n $REPLY ]] || problem transport_key 'is needed for transport_certificate'
  for name in transport_certificate transport_ca; do
    [[ -z ${PARAM[$name]} || ${PARAM[$name]} == *'-----BEGIN CERTIFICATE-----'*'-----END CERTIFICATE-----'* ]] || problem "$name" 'is no certificate in PEM'
  done
  [[ -z ${PARAM[transport_certificate]} || -n ${PARAM[transport_ca]} ]] || problem transport_ca 'is needed for transport_certificate'
}

certificates() {
  secret_text transport_key
  text_file "$etc/transport.key" "$REPLY"
  text_file "$etc/transport.crt" "${PARAM[transport_certificate]}"
  text_file "$etc/transport-ca.crt" "${PARAM[transport_ca]}"
}

text_file() { # text_file FILE TEXT: never by a here-document: it may be a file in /tmp
  if [[ -n $2 ]]; then put "$1" < <(printf '%s\n' "${2%$'\n'}"); else remove_file "$1"; fi
}

# password_file: what health is asked with, as HTTP wants it.
password_file() {
  local line
  if [[ ${PARAM[security]} == true ]]; then
    secret_text password
    line=$(printf 'elastic:%s' "$REPLY" | base64 -w 0)
    salt
    put "$etc/password" < <(printf '# %s: makes the digest of this file say nothing about the password\nAuthorization: Basic %s\n' "$REPLY" "$line")
  else
    remove_file "$etc/password"
  fi
}

# secure_settings: name=value of what goes into the keystore, one a line.
secure_settings() {
  local line
  if [[ ${PARAM[security]} == true ]]; then
    secret_text password && printf 'bootstrap.password=%s\n' "$REPLY"
  fi
  secret_text keystore
  while IFS= read -r line; do [[ -z $line ]] || printf '%s\n' "$line"; done < <(printf '%s\n' "$REPLY")
}

make_keystore() {
  local wanted made_of='' name file
  family "$current" && name=$REPLY file=$etc/$REPLY.keystore
  salt
  wanted=$({ printf '%s %s %s\n' "$REPLY" "$name" "${INSTALLED[program]}" && secure_settings; } | sha256sum)
  wanted="# what $name.keystore was made of, salted"$'\n'"${wanted%% *}"
  [[ ! -r $etc/keystore.digest ]] || made_of=$(<"$etc/keystore.digest")
  [[ $made_of != "$wanted" || ! -s $file ]] || return 0
  fill_keystore "$name"
  put "$file" 0600 <"$run/keystore/$name.keystore"
  put "$etc/keystore.digest" <<<"$wanted"
  remove_tree "$run/keystore"
}

fill_keystore() { # fill_keystore NAME: a new one, in a folder of its own
  local line words
  [[ ! -e $run/keystore ]] || remove_tree "$run/keystore"
  mkdir "$run/keystore"
  words=$(keystore_tool "$1" create 2>&1 </dev/null) || fail "$FAILED" "$1-keystore create: ${words: -300}"
  while IFS= read -r line; do
    words=$(printf '%s' "${line#*=}" | keystore_tool "$1" add -x -f "${line%%=*}" 2>&1) || fail "$DOCUMENT_WRONG" "parameter keystore: ${line%%=*} is refused: ${words: -200}"
  done < <(secure_settings)
}

keystore_tool() { # keystore_tool NAME WORD...
  java_home
  env -i PATH=/usr/local/bin:/usr/bin:/bin "HOME=$run/keystore" "JAVA_HOME=$REPLY" "ES_JAVA_HOME=$REPLY" "OPENSEARCH_JAVA_HOME=$REPLY" \
    "ES_PATH_CONF=$run/keystore" "OPENSEARCH_PATH_CONF=$run/keystore" "CONF_DIR=$run/keystore" timeout 120 "$current/bin/$1-keystore" "${@:2}"
}
