# shellcheck shell=bash
# jvm.sh: which Java a service on the Java virtual machine runs with, and its options.
#
# The kind has the parameters java (path) and jdk_service (string), the package role jdk (optional), and `jdk` among its
# LINKS. A package of its own goes before a jdk service of this host, and that before the host's own Java.

jdk_service_fits() { [[ ${PARAM[jdk_service]} =~ ^([a-z][a-z0-9-]*)?$ ]] || problem jdk_service 'is no name of a service'; }

# find_java -> REPLY: the java of this install; JDK is its folder, empty for the host's own. Nothing uses it yet.
declare JDK=''
find_java() {
  JDK=''
  if [[ -n ${TOWLINE_PACKAGE_jdk-} ]]; then
    place_package jdk && JDK=$REPLY
    "$JDK/bin/java" -version >/dev/null 2>&1 || fail "$NOT_INSTALLED" 'the jdk package has no bin/java that runs on this host'
  elif [[ -n ${PARAM[jdk_service]} ]]; then
    jdk_of_service && JDK=$REPLY
  else
    [[ -x ${PARAM[java]} ]] || fail "$NOT_INSTALLED" "no jdk package, no jdk_service, and no Java at ${PARAM[java]}"
  fi
  REPLY=${JDK:+$JDK/bin/java}
  REPLY=${REPLY:-${PARAM[java]}}
}

# use_java: from now on the link jdk leads to what find_java found.
use_java() {
  if [[ -n ${TOWLINE_PACKAGE_jdk-} || -z ${PARAM[jdk_service]} ]]; then
    remove_file "$run/jdk-service"
  else
    make_folders
    put "$run/jdk-service" <<<"${PARAM[jdk_service]}"
  fi
  if [[ -n $JDK ]]; then use_package jdk "$JDK"; else release_packages jdk; fi
}

# follow_jdk: the link jdk leads where the jdk service's leads, or goes with it; run/jdk-service tells that it is such a
# one. A package of our own comes first.
follow_jdk() {
  if [[ -n ${PARAM[jdk_service]} && (-e $run/jdk-service || ! -L $service_dir/jdk) ]]; then
    jdk_of_service
    use_package jdk "$REPLY"
    put "$run/jdk-service" <<<"${PARAM[jdk_service]}"
  elif [[ -e $run/jdk-service && ! -e $run/identity ]]; then # nothing runs from it any more
    release_packages jdk
    remove_file "$run/jdk-service"
  fi
}

# jdk_of_service -> REPLY: the folder that the jdk service has in use. Our own link will keep it there, also when that
# service goes on to another one.
jdk_of_service() {
  lock_packages
  REPLY=$(readlink "$prefix/services/${PARAM[jdk_service]}/current") || fail "$NOT_INSTALLED" "there is no jdk service ${PARAM[jdk_service]} on this host"
  REPLY=$prefix/packages/${REPLY##*/}
  [[ -x $REPLY/bin/java ]] || fail "$NOT_INSTALLED" "the service ${PARAM[jdk_service]} has no bin/java"
}

java_program() { # -> REPLY: the java that the service is started with; after follow_jdk
  REPLY=${PARAM[java]}
  [[ ! -L $service_dir/jdk || (-z ${PARAM[jdk_service]} && -e $run/jdk-service) ]] || REPLY=$service_dir/jdk/bin/java
}

# need_java JAVA MAJOR: that Java is not older. Before Java 9 it called itself 1.8.
need_java() {
  local words
  words=$("$1" -version 2>&1) || fail "$NOT_INSTALLED" "$1 does not run on this host"
  [[ $words =~ version\ \"(1\.)?([0-9]+) ]] || fail "$NOT_INSTALLED" "$1 says no version: ${words:0:200}"
  ((BASH_REMATCH[2] >= $2)) || fail "$NOT_INSTALLED" "needs Java $2 or later; $1 is Java ${BASH_REMATCH[2]}"
}

# split_words TEXT -> WORDS: one a line where it has lines, else at blanks. No quotes, no shell.
declare -a WORDS=()
split_words() {
  local index
  if [[ $1 == *$'\n'* ]]; then
    mapfile -t WORDS <<<"${1%$'\n'}"
  else
    IFS=$' \t' read -ra WORDS <<<"$1"
  fi
  for index in "${!WORDS[@]}"; do [[ -n ${WORDS[index]} ]] || unset "WORDS[$index]"; done
}

# What follows is of programs that upstream's own script starts, with options of the JVM in a file jvm.options (Elasticsearch,
# OpenSearch, Logstash). The kind has max_heap and jvm_options; without a Java of its own it runs on the one in its archive.

java_home() { # -> REPLY
  java_program
  REPLY=${REPLY:-$current/jdk/bin/java}
  REPLY=${REPLY%/bin/java}
}

jvm_options_fit() {
  local word
  split_words "${PARAM[jvm_options]}"
  for word in ${WORDS[@]+"${WORDS[@]}"}; do
    [[ $word =~ ^([0-9]+(-[0-9]*)?:)?-[!-~]+$ && $word != *-Xm[sx]* ]] || problem jvm_options "has a word that is no option, or sets the heap: ${word:0:60}"
  done
}

# kept_options FILE JAVA_HOME: upstream's own for this version, but the heap, the places, the logs of the collector, and
# modules that a Java that was made small does not have.
kept_options() {
  local line
  printf '# Written by towline: config/jvm.options of %s, then what the parameters say\n' "${INSTALLED[program]}"
  while IFS= read -r line; do
    case $line in
      '#'* | '' | *-Xm[sx]* | *-Xlog:gc* | *-Xloggc:* | *-XX:+Print* | *GCLogFile* | *HeapDumpPath=* | *ErrorFile=* | *AlwaysPreTouch) ;;
      *--add-modules=*) ! has_module "$2" "${line##*=}" || printf '%s\n' "$line" ;;
      *) printf '%s\n' "$line" ;;
    esac
  done <"$1"
}

# has_module JAVA_HOME MODULE: a Java that was made small says in its file `release` what it has.
has_module() {
  local line
  [[ -r $1/release ]] || return 0
  while IFS= read -r line; do
    [[ $line != MODULES=* || " ${line//\"/ } " == *" $2 "* ]] || return 1
  done <"$1/release"
}

own_options() { # the heap, the places, and the parameter
  to_bytes "${PARAM[max_heap]}"
  printf '%s\n' "-Xms$REPLY" "-Xmx$REPLY" "-XX:HeapDumpPath=$data" "-XX:ErrorFile=$log_dir/hs_err_pid%p.log"
  split_words "${PARAM[jvm_options]}"
  ((${#WORDS[@]} == 0)) || printf '%s\n' "${WORDS[@]}"
}

# console_log4j2 LEVEL: a log4j2.properties by which all goes to standard output, which becomes log/<service>.log.
console_log4j2() {
  printf '%s\n' 'status = error' 'appender.out.type = Console' 'appender.out.name = out' 'appender.out.layout.type = PatternLayout' \
    'appender.out.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n' "rootLogger.level = $1" 'rootLogger.appenderRef.out.ref = out'
}

# last_cause: for the reason of a failed start, where the end of the output is the places of an exception: its last cause, or else
# the last lines. To standard output, as last_words.
last_cause() {
  local words
  words=$(dd if="$log_dir/$service.log" iflag=nofollow bs=64k status=none 2>/dev/null | tail -n 400 | tr -c '[:print:]\n' ' ') || :
  if [[ $words =~ .*Caused\ by:\ ([^$'\n']*) ]]; then
    printf '%s' "${BASH_REMATCH[1]:0:400}"
  else
    tail -n 4 <<<"$words" | tr '\n' ' ' | tail -c 400
  fi
}
