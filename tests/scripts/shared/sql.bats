#!/usr/bin/env bats
# sql.bats: scripts/common/sql.sh, the texts; what a server makes of them, test_mysql.py shows

bats_require_minimum_version 1.5.0
load prelude

setup() {
  begin
  # shellcheck source=../../../scripts/common/sql.sh
  . "$COMMON/common/sql.sh"
}

@test "a text in SQL keeps its quotes and backslashes" {
  quoted 'plain'
  [ "$REPLY" = "'plain'" ]
  quoted "a'b\\c\\"
  [ "$REPLY" = "'a\\'b\\\\c\\\\'" ]
}

@test "an account has its password, or is locked" {
  run account app % "p'w"
  [ "${lines[0]}" = "CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'p\\'w' ACCOUNT UNLOCK;" ]
  [ "${lines[1]}" = "ALTER USER 'app'@'%' IDENTIFIED BY 'p\\'w' ACCOUNT UNLOCK;" ]
  run account app % ''
  [ "${lines[1]}" = "ALTER USER 'app'@'%' ACCOUNT LOCK;" ]
}

@test "without a primary nobody is followed" {
  run replicate_mariadb '' secret
  [ "$output" = $'STOP SLAVE;\nRESET SLAVE ALL;' ]
  run replicate_mysql '' secret
  [ "$output" = $'STOP REPLICA;\nRESET REPLICA ALL;' ]
}

@test "a replica tells what it lacks" {
  PARAM[replica_of]=db:3306 PARAM[max_lag]=1m
  REPLY=$'Slave_IO_Running: Connecting\nSlave_SQL_Running: Yes\nLast_IO_Error: no route\nLast_SQL_Error: '
  if replicates; then return 1; fi
  [ "$REASON" = 'does not replicate from db:3306, its IO thread stands: no route' ]
  REPLY=$'Replica_IO_Running: Yes\nReplica_SQL_Running: Yes\nSeconds_Behind_Source: 61'
  if replicates; then return 1; fi
  [ "$REASON" = 'is 61 s behind its primary db:3306' ]
  REPLY=$'Replica_IO_Running: Yes\nReplica_SQL_Running: Yes\nSeconds_Behind_Source: 60'
  replicates
  REPLY=''
  if replicates; then return 1; fi
  [ "$REASON" = 'does not replicate: it has no primary' ]
}
