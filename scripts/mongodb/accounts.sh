# shellcheck shell=bash
# accounts.sh: who may log in. The administrator is made through the way in that MongoDB leaves open at the loopback address until there
# is an account; the application's account, and each change, by the administrator. In a replica set the primary's script does it.

declare -A ACCOUNT=() # of etc/accounts: root, root_password, user, user_password

# accounts_text: that file. Random bits keep its digest, which is reported, from telling anything of the passwords.
accounts_text() {
  local name
  salt
  printf '# %s\n' "$REPLY: who may log in; towline keeps it"
  for name in root root_password user user_password; do
    [[ -z ${ACCOUNT[$name]-} ]] || printf '%s=%s\n' "$name" "${ACCOUNT[$name]}"
  done
}

wanted_accounts() { # of the document
  ACCOUNT=()
  secret_text root_password
  [[ -n $REPLY ]] || return 0
  ACCOUNT=([root]=${PARAM[root_user]} [root_password]=$REPLY)
  [[ -n ${PARAM[user]} ]] || return 0
  secret_text user_password && ACCOUNT+=([user]=${PARAM[user]} [user_password]=$REPLY)
}

read_accounts() { # what was configured
  local line
  ACCOUNT=()
  [[ -r $etc/accounts ]] || return 0
  while IFS= read -r line; do
    [[ $line == \#* ]] || ACCOUNT[${line%%=*}]=${line#*=}
  done <"$etc/accounts"
}

has_accounts() { [[ -n ${ACCOUNT[root_password]-} ]]; }

enter() { # logs in on LINE, where one must. False with the reason in REPLY; SALT is empty where there is nobody of that name.
  read_accounts
  SALT=''
  ! has_accounts || login "${ACCOUNT[root]}" "${ACCOUNT[root_password]}"
}

# make_accounts: as etc/accounts says, unless that was done already. A password that was another one is changed with the key of the former one.
make_accounts() {
  read_accounts
  if ! has_accounts || noted accounts-made "$etc/accounts"; then return 0; fi
  leads || return 0
  if enter; then
    bson text updateUser "${ACCOUNT[root]}" text pwd "${ACCOUNT[root_password]}"
  else
    local -r refused=$REPLY
    bson text role root text db admin && bson doc 0 "$REPLY"
    bson text createUser "${ACCOUNT[root]}" text pwd "${ACCOUNT[root_password]}" list roles "$REPLY"
  fi
  command_of admin "$REPLY" || fail "$FAILED" "cannot log in as ${ACCOUNT[root]} (${refused-}), and cannot make or change it: ${REPLY:0:200}. Is root_password the one that the data has?"
  { ask_hello && enter; } || fail "$FAILED" "cannot log in as ${ACCOUNT[root]}: ${REPLY:0:200}"
  [[ -z ${ACCOUNT[user]-} ]] || make_user
  did 'its accounts are as declared'
  take_note accounts-made "$etc/accounts"
}

make_user() {
  local role list='' rest
  local -i index=0
  for role in ${PARAM[user_roles]//,/ }; do
    rest=${PARAM[database]}
    [[ $role != *@* ]] || rest=${role#*@}
    bson text role "${role%@*}" text db "$rest" && bson doc "$index" "$REPLY" && list+="$REPLY"
    index=$((index + 1))
  done
  bson text pwd "${ACCOUNT[user_password]}" list roles "$list" && rest=$REPLY
  bson text createUser "${ACCOUNT[user]}"
  if command_of "${PARAM[database]}" "$REPLY$rest"; then return 0; fi
  [[ ${ANSWER[code]-} == 51003 ]] || fail "$FAILED" "the account ${ACCOUNT[user]} is not made: ${REPLY:0:200}"
  bson text updateUser "${ACCOUNT[user]}"
  command_of "${PARAM[database]}" "$REPLY$rest" || fail "$FAILED" "the account ${ACCOUNT[user]} is not changed: ${REPLY:0:200}"
}

# raise_features: the data's format, only ever upwards, by the parameter feature_version.
raise_features() {
  local -r wanted=${PARAM[feature_version]}
  if [[ -z $wanted ]] || ! leads; then return 0; fi
  enter || fail "$FAILED" "cannot log in: ${REPLY:0:200}"
  bson int getParameter 1 int featureCompatibilityVersion 1
  command_of admin "$REPLY" || fail "$FAILED" "tells no featureCompatibilityVersion: ${REPLY:0:200}"
  [[ ${ANSWER['featureCompatibilityVersion.version']-} != "$wanted" ]] || return 0
  newer "$wanted" "${ANSWER['featureCompatibilityVersion.version']-0}" || fail "$DOCUMENT_WRONG" "parameter feature_version: the data has ${ANSWER['featureCompatibilityVersion.version']}, and goes only up"
  bson text setFeatureCompatibilityVersion "$wanted"
  local -r request=$REPLY
  bson true confirm 1
  [[ ${INSTALLED[program]} != [456].* ]] || REPLY=''
  command_of admin "$request$REPLY" || fail "$FAILED" "the data's format is not raised to $wanted: ${REPLY:0:300}"
  did "the data's format is $wanted"
}
