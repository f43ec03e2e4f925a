# shellcheck shell=bash
# jmx.sh: a page of metrics of a Java virtual machine, by Prometheus' JMX exporter as an agent in it.
#
# The kind has the parameters metrics_port (port), metrics_bind (string) and metrics_rules (text), all three empty by default, the
# package role jmx (optional), and calls what follows where it says so.

jmx_files() { # in service_files. Without the package there is nothing of it to watch.
  LINKS+=(jmx)
  [[ ! -L $service_dir/jmx ]] || CONFIG_FILES+=("$etc/jmx.yml")
}

jmx_fits() { # in parameters_fit
  [[ ${PARAM[metrics_bind]} =~ ^([0-9.]+|\[[0-9A-Fa-f:.]+\])?$ ]] || problem metrics_bind 'is no address (IPv6 in brackets)'
  [[ -z ${PARAM[metrics_port]} || ${PARAM[metrics_port]} != "${PARAM[port]}" ]] || problem metrics_port 'is the port of the service'
}

use_jmx() { # in install
  if [[ -z ${TOWLINE_PACKAGE_jmx-} ]]; then
    release_packages jmx
  else
    place_package jmx
    jmx_jar "$REPLY"
    use_package jmx "${REPLY%/*}"
  fi
}

# jmx_jar FOLDER -> REPLY: the only jar in it.
jmx_jar() {
  local -a jars=("$1"/*.jar)
  [[ ${#jars[@]} -eq 1 && -f ${jars[0]} ]] || fail "$NOT_INSTALLED" 'the jmx package has not exactly one jar'
  REPLY=${jars[0]}
}

# jmx_option, in configure: writes etc/jmx.yml -> WORDS: the option of the JVM, or none.
jmx_option() {
  WORDS=()
  if [[ -z ${PARAM[metrics_port]} ]]; then
    remove_file "$etc/jmx.yml"
    return
  fi
  [[ -L $service_dir/jmx ]] || fail "$NOT_INSTALLED" 'parameter metrics_port: there is no jmx package'
  jmx_jar "$service_dir/jmx"
  WORDS=("-javaagent:$REPLY=${PARAM[metrics_bind]:-0.0.0.0}:${PARAM[metrics_port]}:$etc/jmx.yml")
  local -r nothing='{}' # the agent wants a map
  put "$etc/jmx.yml" < <(printf '# Written by towline: the parameter metrics_rules\n%s\n' "${PARAM[metrics_rules]:-$nothing}")
}

jmx_listens() { # in healthy; a process that was taken over never heard of it
  [[ -z ${PARAM[metrics_port]} || ! -e $etc/jmx.yml ]] || listens "${PARAM[metrics_port]}" ||
    { REASON="serves no metrics on port ${PARAM[metrics_port]}" && return 1; }
}
