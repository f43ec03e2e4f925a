# shellcheck shell=bash
# command.sh: the command line of Kafka's server, and where its log goes.

# All to standard output, which becomes log/<service>.log. Kafka 4 has Log4j 2, before that it was Reload4j.
logging_properties() {
  if has_log4j2; then
    printf '%s\n' 'appender.out.type=Console' 'appender.out.name=out' 'appender.out.layout.type=PatternLayout' \
      'appender.out.layout.pattern=[%d] %p %m (%c)%n' "rootLogger.level=${PARAM[log_level]}" 'rootLogger.appenderRef.out.ref=out'
  else
    printf '%s\n' "log4j.rootLogger=${PARAM[log_level]}, out" 'log4j.appender.out=org.apache.log4j.ConsoleAppender' \
      'log4j.appender.out.layout=org.apache.log4j.PatternLayout' 'log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n'
  fi
}

has_log4j2() {
  local -a jars=("$current"/libs/log4j-core-*.jar)
  [[ -f ${jars[0]} ]]
}

# server_command [OPTION...]: as upstream's kafka-run-class.sh would have it, without a port for JMX; and a node without memory
# ends, to be started again.
server_command() {
  local heap logging=log4j.configuration
  java_program && local -r java=$REPLY
  heap=$(bytes max_heap)
  ! has_log4j2 || logging=log4j2.configurationFile
  split_words "${PARAM[jvm_options]}"
  printf '%s\n' "$java" "-Xms$heap" "-Xmx$heap" "$@" -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
    -XX:+ExplicitGCInvokesConcurrent -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true "-Dkafka.logs.dir=$log_dir" \
    "-D$logging=file:$etc/logging.properties" ${WORDS[@]+"${WORDS[@]}"} -cp "$current/libs/*" kafka.Kafka "$etc/server.properties"
}
