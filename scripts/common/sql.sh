# shellcheck shell=bash
# sql.sh: what MariaDB and MySQL are told about accounts and replication, in their own words, and what they answer.

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

accounts_fit() { # their names
  local name
  for name in user replication_user monitor_user; do [[ ${PARAM[$name]} =~ ^[A-Za-z0-9_.-]*$ ]] || problem "$name" 'has something else than letters, digits and _ . -'; done
  for name in user monitor_user; do [[ ! ${PARAM[$name]} =~ ^(root|towline|mysql|mariadb\.sys|mysql\..*)$ ]] || problem "$name" 'is an account of the software itself'; done
  [[ -z ${PARAM[monitor_user]} || (${PARAM[monitor_user]} != "${PARAM[user]}" && ${PARAM[monitor_user]} != "${PARAM[replication_user]}") ]] || problem monitor_user 'is an account for something else already'
  [[ -z ${PARAM[user]} || ${PARAM[user]} != "${PARAM[replication_user]}" ]] || problem replication_user 'is the account of the application'
}

# accounts_sql is run by the server itself at each start, before it lets anybody in: whatever was done to these accounts
# by hand, or whichever call was killed, they are right again. Not for the binary log: a replica has its own.
accounts_sql() {
  salt
  printf '%s\n' "DO '$REPLY';" "SET SESSION sql_mode = '', sql_log_bin = 0;" 'SET NAMES binary;'
  random_word "$run/admin"
  account towline localhost "$REPLY"
  printf '%s\n' "GRANT ALL ON *.* TO 'towline'@'localhost' WITH GRANT OPTION;"
  secret_text root_password && account root localhost "$REPLY"
  [[ -z ${PARAM[database]} ]] || printf "CREATE DATABASE IF NOT EXISTS \`%s\`;\n" "${PARAM[database]}"
  if [[ -n ${PARAM[user]} ]]; then
    secret_text user_password && account "${PARAM[user]}" "${PARAM[user_from]}" "$REPLY"
    [[ -z ${PARAM[database]} ]] || printf "GRANT ALL ON \`%s\`.* TO '%s'@'%s';\n" "${PARAM[database]//_/\\_}" "${PARAM[user]}" "${PARAM[user_from]}"
  fi
  [[ -z ${PARAM[monitor_user]} ]] || monitor_sql
  [[ -n ${PARAM[replication_user]} ]] || return 0
  secret_text replication_password && account "${PARAM[replication_user]}" % "$REPLY"
  printf "GRANT REPLICATION SLAVE ON *.* TO '%s'@'%%';\n" "${PARAM[replication_user]}"
  # MariaDB keeps whom it follows, and how far it is in its relay log, in files that it does not sync. What lost power has
  # left of them may keep it from following anybody; where it is stands in its tables, so it is told anew at each start.
  [[ -n ${PARAM[replica_of]} ]] && is_mariadb || return 0
  secret_text replication_password
  printf '%s\n' 'STOP SLAVE;' 'RESET SLAVE ALL;'
  replicate_mariadb "${PARAM[replica_of]}" "$REPLY"
}

# monitor_sql: an exporter on this host comes by TCP, from the address that it calls. Three connections at most, so that one
# that hangs takes none from the applications.
monitor_sql() {
  local address
  for address in 127.0.0.1 ${PARAM[bind]//,/ }; do
    [[ $address != '*' && $address != 0.0.0.0 && $address != :: ]] || continue
    secret_text monitor_password && account "${PARAM[monitor_user]}" "$address" "$REPLY"
    printf "ALTER USER '%s'@'%s' WITH MAX_USER_CONNECTIONS 3;\n" "${PARAM[monitor_user]}" "$address"
    printf "GRANT PROCESS, REPLICATION CLIENT%s ON *.* TO '%s'@'%s';\n" "$(! is_mariadb || echo ', SLAVE MONITOR')" "${PARAM[monitor_user]}" "$address"
    printf "GRANT SELECT ON performance_schema.* TO '%s'@'%s';\n" "${PARAM[monitor_user]}" "$address"
  done
}

# replica_sql is run by the script whenever it has changed; the server remembers where it was.
replica_sql() {
  salt
  printf '%s\n' "DO '$REPLY';" "SET SESSION sql_mode = '';"
  secret_text replication_password
  if is_mariadb; then replicate_mariadb "${PARAM[replica_of]}" "$REPLY"; else replicate_mysql "${PARAM[replica_of]}" "$REPLY"; fi
}

system_tables() { # what mariadb-install-db says to a server
  printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;' "SET @auth_root_socket='root';"
  local name file
  for name in m*_system_tables m*_performance_tables m*_system_tables_data fill_help_tables maria_add_gis_sp_bootstrap m*_sys_schema; do
    for file in "$current"/share/$name.sql; do [[ ! -r $file ]] || cat "$file"; done
  done
}

client() { REPLY=$current/bin/mariadb && [[ -x $REPLY ]] || REPLY=$current/bin/mysql; } # -> REPLY

ask() { # ask SQL -> REPLY: the answer, or what the client says
  client
  REPLY=$(exec timeout "$PROBE_TIMEOUT_S" "$REPLY" "--defaults-file=$etc/client.cnf" --batch --vertical -e "$1" 2>&1)
}

said() { # said FILE WHAT: the server does what the file says
  local words
  client
  words=$("$REPLY" "--defaults-file=$etc/client.cnf" --batch 2>&1 <"$1") || fail "$FAILED" "$2 is refused: ${words:0:300}"
  did "$2 is as declared"
}

# Those that read the binary log right now. MySQL has retired the table that MariaDB still has.
readonly CONNECTED_REPLICAS="SELECT COUNT(*) AS replicas FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'"

replicates() { # of the answer in REPLY
  local part error='' behind
  for part in IO SQL; do
    [[ $REPLY =~ _${part}_Running:\ ([A-Za-z]+) ]] || { REASON='does not replicate: it has no primary' && return 1; }
    [[ ${BASH_REMATCH[1]} != Yes ]] || continue
    [[ ! $REPLY =~ Last_${part}_Error:\ ([^$'\n']*) ]] || error=${BASH_REMATCH[1]}
    REASON="does not replicate from ${PARAM[replica_of]}, its $part thread stands: ${error:0:300}" && return 1
  done
  [[ $REPLY =~ Seconds_Behind_[A-Za-z]+:\ ([0-9]+) ]] || { REASON='replicates, and cannot tell how far it is behind' && return 1; }
  behind=${BASH_REMATCH[1]} && to_seconds "${PARAM[max_lag]}"
  ((behind <= REPLY)) || { REASON="is $behind s behind its primary ${PARAM[replica_of]}" && return 1; }
}

set_globals() { # set_globals NAME VALUE ...: of the running server
  while (($#)); do
    REPLY=$2
    [[ $2 =~ ^[0-9]+$ ]] || quoted "$2"
    ask "SET GLOBAL $1 = $REPLY" || fail "$FAILED" "refuses $1: ${REPLY:0:300}"
    shift 2
  done
}
