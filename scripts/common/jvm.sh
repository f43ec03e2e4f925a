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
