# shellcheck shell=bash
# sql.sh: what MariaDB and MySQL are told about accounts and replication, in their own words.

quoted() { # quoted TEXT -> REPLY: as a text in SQL, where a backslash escapes
  REPLY=${1//\\/\\\\}
  REPLY="'${REPLY//\'/\\\'}'"
}

# account NAME FROM PASSWORD: it is there, with that password; without one it is locked. Each statement in a line.
account() {
  local how='ACCOUNT LOCK'
  quoted "$3"
  [[ -z $3 ]] || how="IDENTIFIED BY $REPLY ACCOUNT UNLOCK"
  printf "CREATE USER IF NOT EXISTS '%s'@'%s' %s;\nALTER USER '%s'@'%s' %s;\n" "$1" "$2" "$how" "$1" "$2" "$how"
}

# replicate_mariadb PRIMARY PASSWORD, replicate_mysql PRIMARY PASSWORD: follow HOST:PORT; without one, nobody any more.
replicate_mariadb() {
  echo 'STOP SLAVE;'
  [[ -n $1 ]] || { echo 'RESET SLAVE ALL;' && return 0; }
  quoted "$2"
  printf '%s\n' 'SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos;' # one that was a primary goes on from there
  printf "CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='%s', MASTER_PASSWORD=%s,%s;\nSTART SLAVE;\n" \
    "${1%:*}" "${1##*:}" "${PARAM[replication_user]}" "$REPLY" ' MASTER_CONNECT_RETRY=5, MASTER_USE_GTID=slave_pos, MASTER_SSL_VERIFY_SERVER_CERT=0'
}

replicate_mysql() {
  echo 'STOP REPLICA;'
  [[ -n $1 ]] || { echo 'RESET REPLICA ALL;' && return 0; }
  quoted "$2"
  printf "CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%s, SOURCE_USER='%s', SOURCE_PASSWORD=%s,%s;\nSTART REPLICA;\n" \
    "${1%:*}" "${1##*:}" "${PARAM[replication_user]}" "$REPLY" ' SOURCE_CONNECT_RETRY=5, SOURCE_AUTO_POSITION=1, SOURCE_SSL=1'
}
