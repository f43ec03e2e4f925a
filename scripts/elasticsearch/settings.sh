# shellcheck shell=bash
# settings.sh: the configuration files of Elasticsearch and OpenSearch, each in the words of its version.

# What a line of extra may not set: parameters, places, and what health is asked by.
readonly NOT_EXTRA_PLACE='(http|transport)\.(port|tcp\.port|(publish_|bind_)?host|publish_port)|network\.(host|bind_host|publish_host)|path\.(data|logs|conf|home)'
readonly NOT_EXTRA_CLUSTER='cluster\.(name|initial_(master|cluster_manager)_nodes|routing\.allocation\.disk\.watermark\..*)|node\.(name|roles|master|data|ingest)|discovery\.(type|seed_hosts|seed_providers|zen\..*)|bootstrap\.memory_lock'
readonly NOT_EXTRA_SECURITY='xpack\.security\.(enabled|autoconfiguration\..*|transport\.ssl\.(enabled|key|certificate|certificate_authorities)|http\.ssl\..*)|plugins\.security\.(disabled|ssl\.http\..*)'

extra_fits() { yaml_fits extra "$NOT_EXTRA_PLACE|$NOT_EXTRA_CLUSTER|$NOT_EXTRA_SECURITY"; }

settings_yml() {
  printf '# Written by towline for the service %s; a change by hand is drift and is taken back.\n' "$service"
  yaml_setting cluster.name "${PARAM[cluster_name]:-$service}"
  yaml_setting node.name "${PARAM[node_name]:-$service}"
  yaml_setting path.data "$data/${PARAM[data_folder]}"
  yaml_setting path.logs "$log_dir"
  yaml_setting bootstrap.memory_lock "${PARAM[memory_lock]}"
  addresses
  cluster_settings
  role_settings
  security_settings
  yaml_lines extra
}

bare() { REPLY=${1#[} REPLY=${REPLY%]}; } # bare ADDRESS -> REPLY: without the brackets

addresses() {
  local publish
  yaml_setting http.port "${PARAM[port]}"
  if since 7; then yaml_setting transport.port "${PARAM[transport_port]}"; else yaml_setting transport.tcp.port "${PARAM[transport_port]}"; fi
  bare "${PARAM[bind]}" && yaml_setting http.host "$REPLY"
  bare "${PARAM[transport_bind]}" && yaml_setting transport.host "$REPLY"
  bare "${PARAM[publish]}" && publish=$REPLY
  [[ -z $publish ]] || { yaml_setting http.publish_host "$publish" && yaml_setting transport.publish_host "$publish"; }
}

cluster_settings() {
  local -a marks names
  if [[ -z ${PARAM[seeds]} ]]; then
    yaml_setting discovery.type single-node
  elif since 7; then
    yaml_setting discovery.seed_hosts "${PARAM[seeds]//[[:space:]]/}"
  else
    IFS=, read -ra names <<<"${PARAM[initial_masters]}"
    yaml_setting discovery.zen.ping.unicast.hosts "${PARAM[seeds]//[[:space:]]/}"
    yaml_setting discovery.zen.minimum_master_nodes "$((${#names[@]} / 2 + 1))"
  fi
  [[ -n ${PARAM[watermarks]} ]] || return 0
  read -ra marks <<<"${PARAM[watermarks]}"
  yaml_setting cluster.routing.allocation.disk.watermark.low "${marks[0]}%"
  yaml_setting cluster.routing.allocation.disk.watermark.high "${marks[1]}%"
  since 6 && yaml_setting cluster.routing.allocation.disk.watermark.flood_stage "${marks[2]}%" || :
}

role_settings() {
  local role roles=${PARAM[roles]//[[:space:]]/}
  [[ -n $roles ]] || return 0
  [[ $roles != none ]] || roles=''
  if is_opensearch || [[ $(printf '%s\n' 7.9 "${INSTALLED[program]}" | sort -V | head -n 1) == 7.9 ]]; then
    ! is_opensearch || ! since 7 2 || { roles=,$roles, && roles=${roles/,master,/,cluster_manager,} && roles=${roles#,} && roles=${roles%,}; }
    if [[ -n $roles ]]; then yaml_setting node.roles "$roles"; else echo '"node.roles": []'; fi
  else
    for role in master data ingest; do yaml_setting "node.$role" "$([[ ,$roles, == *",$role,"* ]] && echo true || echo false)"; done
  fi
}

# What the archive cannot do is told before anything is written.
security_fits() {
  [[ ${PARAM[security]} == true ]] || return 0
  ! is_opensearch || fail "$DOCUMENT_WRONG" 'parameter security: is for Elasticsearch; the security plugin of OpenSearch is not driven'
  has_security || fail "$DOCUMENT_WRONG" 'parameter security: this archive has no modules/x-pack-security'
}

has_security() { [[ -d $current/modules/x-pack-security ]]; }

security_settings() {
  if is_opensearch; then
    [[ ! -d $current/plugins/opensearch-security ]] || yaml_setting plugins.security.disabled true
    return 0
  fi
  has_security || return 0
  yaml_setting xpack.security.enabled "${PARAM[security]}" # said, because from 8 on it would make certificates of its own
  [[ ${PARAM[security]} == true && -n ${PARAM[transport_certificate]} ]] || return 0
  yaml_setting xpack.security.transport.ssl.enabled true
  yaml_setting xpack.security.transport.ssl.key "$etc/transport.key"
  yaml_setting xpack.security.transport.ssl.certificate "$etc/transport.crt"
  yaml_setting xpack.security.transport.ssl.certificate_authorities "$etc/transport-ca.crt"
  [[ ${PARAM[extra]} == *xpack.security.transport.ssl.verification_mode:* ]] || yaml_setting xpack.security.transport.ssl.verification_mode certificate
}

# jvm_options: upstream's own for this version; then ours.
jvm_options() {
  java_home && kept_options "$current/config/jvm.options" "$REPLY"
  since 7 || echo '-XX:+IgnoreUnrecognizedVMOptions' # those of a collector that newer Javas do not have
  own_options
}

# Each version looks at names of its own; the ones of others do no harm.
environment_lines() {
  java_home && local -r home=$REPLY
  if is_opensearch; then
    printf '%s\n' "OPENSEARCH_JAVA_HOME=$home" "OPENSEARCH_PATH_CONF=$etc" "OPENSEARCH_TMPDIR=$data/tmp"
  else
    printf '%s\n' "ES_JAVA_HOME=$home" "ES_PATH_CONF=$etc" "ES_TMPDIR=$data/tmp"
    since 8 || printf '%s\n' "JAVA_HOME=$home" "ES_JVM_OPTIONS=$etc/jvm.options"
  fi
}
