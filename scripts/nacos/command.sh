# shellcheck shell=bash
# command.sh: the command line of Nacos.

# What Java 9 and later keep closed, and the libraries of Nacos reach into.
readonly OPENED='--add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.lang.reflect=ALL-UNNAMED --add-opens=java.base/java.util.concurrent=ALL-UNNAMED --add-opens=java.base/java.net=ALL-UNNAMED'

# As upstream's startup.sh would have it; the programs stand in a folder that is nobody's, so what is written goes elsewhere.
server_command() {
  local heap
  local -a mode=()
  java_program && local -r java=$REPLY
  to_bytes "${PARAM[max_heap]}" && heap=$REPLY
  if ! is_cluster; then mode+=(-Dnacos.standalone=true); elif [[ -z ${PARAM[database_url]} ]]; then mode+=(-DembeddedStorage=true); fi
  own_address
  [[ -z $REPLY ]] || mode+=("-Dnacos.server.ip=${REPLY//[\[\]]/}") # not read from application.properties
  ! is_three || mode+=(-Dnacos.deployment.type=merged)
  split_words "${PARAM[jvm_options]}"
  printf '%s\n' "$java" "-Xms$heap" "-Xmx$heap" -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true "${mode[@]}" \
    "-Dnacos.home=$data" "-Dnacos.logs.path=$log_dir" "-Duser.home=$data" \
    "-Dloader.path=$current/plugins,$current/plugins/health,$current/plugins/cmdb,$current/plugins/selector" \
    ${WORDS[@]+"${WORDS[@]}"} -jar "$current/target/nacos-server.jar" "--spring.config.additional-location=file:$etc/" \
    "--logging.config=$current/conf/nacos-logback.xml" nacos.nacos
}
