# shellcheck shell=bash
# database.sh: where Nacos keeps what it is told: below data/ (Derby), or in MySQL or MariaDB, whose tables are made once.

database_fits() {
  if [[ -z ${PARAM[database_url]} ]]; then
    [[ -z ${PARAM[database_user]} ]] || problem database_user 'is of no use without database_url'
  elif [[ ! ${PARAM[database_url]} =~ $DATABASE ]]; then
    problem database_url 'is not jdbc:mysql://HOST:PORT/DATABASE, and ?options'
  else
    [[ ! ${PARAM[database_url]} =~ [?\&](user|password)= ]] || problem database_url 'names a user or a password, which have parameters of their own'
    property_fits database_url "${PARAM[database_url]}"
    [[ ${PARAM[database_user]} =~ ^[A-Za-z0-9_.-]+$ ]] || problem database_user 'is needed: letters, digits and _ . -'
  fi
}

database_properties() {
  [[ -n ${PARAM[database_url]} ]] || return 0
  property spring.datasource.platform mysql # up to Nacos 2.2
  property spring.sql.init.platform mysql
  property db.num 1
  property db.url.0 "${PARAM[database_url]}"
  property db.user.0 "${PARAM[database_user]}"
  secret_text database_password && property db.password.0 "$REPLY"
}

# data_fits: Nacos 3 takes what Nacos 2 has kept below data/, and moves it to where Nacos 2 does not look.
data_fits() {
  local kept_by=0
  local -r file=$service_dir/data-series series=${INSTALLED[program]%%.*}
  [[ -z ${PARAM[database_url]} ]] || return 0
  if [[ -d $data/data/derby-data && -r $file ]]; then read -r kept_by <"$file"; fi
  [[ $kept_by =~ ^[0-9]{1,4}$ ]] || kept_by=0
  ((kept_by <= series)) ||
    fail "$DOCUMENT_WRONG" "Nacos $series does not see what Nacos $kept_by has kept: stay with $kept_by, or export the configurations and import them into an empty service"
  put "$file" <<<"$series"
}

place_client() {
  if [[ -n ${TOWLINE_PACKAGE_client-} ]]; then
    place_package client
    local -r folder=$REPLY
    program_of "$folder" bin/mariadb bin/mysql
    use_package client "$folder"
  else
    release_packages client
  fi
}

# client_cnf is how this script gets into the database, where there is a client and something to get into.
client_cnf() {
  [[ -n ${PARAM[database_url]} && -L $service_dir/client ]] || return 0
  [[ ${PARAM[database_url]} =~ $DATABASE ]]
  local -r host=${BASH_REMATCH[1]//[\[\]]/} port=${BASH_REMATCH[3]:-3306} name=${BASH_REMATCH[4]}
  salt
  printf '%s\n' "# $REPLY" '[client]' 'protocol = tcp' "host = $host" "port = $port" "user = ${PARAM[database_user]}" 'connect_timeout = 5' 'default_character_set = utf8mb4'
  [[ ! -d $service_dir/client/share/charsets ]] || printf '%s\n' "character_sets_dir = $service_dir/client/share/charsets"
  secret_text database_password
  REPLY=${REPLY//\\/\\\\}
  printf 'password = "%s"\n' "${REPLY//\"/\\\"}"
  printf '%s\n' '[mysql]' "database = $name"
}

# make_tables: once for each version of upstream's tables. In an empty database all that upstream puts there; in one with
# tables only those that are missing. Members may come at the same time: one after the other, by a lock of the database.
make_tables() {
  local words
  local -r schema=$current/conf/mysql-schema.sql
  [[ -s $etc/client.cnf ]] || return 0
  [[ -r $schema ]] || fail "$NOT_INSTALLED" 'the package has no conf/mysql-schema.sql'
  if noted tables "$schema"; then return 0; fi
  words=$(tell_database <<<"SHOW TABLES LIKE 'config_info'") || fail "$FAILED" "its database: ${words:0:300}"
  local -r before=$words
  words=$(tables_sql "$schema" "$before" | tell_database) || fail "$FAILED" "the tables cannot be made: ${words:0:300}"
  [[ -n $before ]] || did 'made the tables of Nacos'
  take_note tables "$schema"
}

tell_database() { # standard input is SQL; says what the database says
  program_of "$service_dir/client" bin/mariadb bin/mysql
  exec timeout 120 "$REPLY" "--defaults-file=$etc/client.cnf" --batch --skip-column-names 2>&1
}

tables_sql() { # tables_sql FILE TABLES
  echo "SELECT GET_LOCK('towline-nacos-tables', 60);"
  if [[ -n $2 ]]; then
    sed -E '/^INSERT /d; s/^CREATE TABLE /CREATE TABLE IF NOT EXISTS /' "$1"
  else
    sed -E 's/^INSERT INTO /INSERT IGNORE INTO /; s/^CREATE TABLE /CREATE TABLE IF NOT EXISTS /' "$1"
  fi
}
