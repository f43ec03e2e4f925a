#!/usr/bin/env bash
# elasticsearchctl.sh: Elasticsearch and OpenSearch, alone or a member of a cluster. Healthy means: this node answers for
# the health of its cluster, has a master, no fewer nodes than it should have, no shard without a node, and room on its disk.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"
# shellcheck source=elasticsearch/settings.sh
. "${here:-./}elasticsearch/settings.sh"
# shellcheck source=elasticsearch/keystore.sh
. "${here:-./}elasticsearch/keystore.sh"
# shellcheck source=elasticsearch/health.sh
. "${here:-./}elasticsearch/health.sh"
# shellcheck source=elasticsearch/dynamic.sh
. "${here:-./}elasticsearch/dynamic.sh"

KIND=elasticsearch
SUMMARY='Elasticsearch and OpenSearch, alone or a member of a cluster'
HOLDS_DATA=true
VERSIONS='5.6 6.8 7 8 9 1 2 3'
PORTS='port transport_port'
CHILD_LISTENS=true # Elasticsearch 8 is a launcher that waits for its server

# name | type | default | bounds | effect | help
PARAMETERS='
port                | port     | 9200      |          | restart | Port for clients (HTTP)
bind                | string   | 127.0.0.1 | 1..64    | restart | Address for clients. Without security nobody is asked for a password
transport_port      | port     | 9300      |          | restart | Port for the nodes among themselves
transport_bind      | string   | 127.0.0.1 | 1..64    | restart | Address for transport_port
publish             | string   |           | ..253    | restart | Address or name that clients and other nodes are told; empty: what the software finds
cluster_name        | string   |           | ..100    | restart | The same on all nodes; empty: the name of the service
node_name           | string   |           | ..100    | restart | Its name in the cluster; empty: the name of the service
roles               | string   |           | ..200    | restart | Words with commas between: master, data, ingest ...; none: it only passes requests on; empty: what the software does by default
seeds               | string   |           | ..4000   | restart | All nodes, this one too: HOST:PORT of transport_port, with commas between; empty: this node is alone
initial_masters     | string   |           | ..4000   | restart | Names of the first masters, with commas between: heeded until this node has been in its cluster
expected_nodes      | int      |           | 1..1000  | none    | Fewer nodes in the cluster are degraded; empty: as many as seeds has
least_status        | enum     | green     | green, yellow | none | The least status that is well: yellow for a node that is alone and has indexes with replicas
watermarks          | string   |           | ..30     | reload | Percent of the disk in use at which it gets no more shards, gives shards away, and is written to no more: 85 90 95; empty: what the software has
data_folder         | string   | db        | 1..200   | restart | Folder below data/ for the indexes
max_heap            | size     | 1gb       | 128mb..  | restart | Memory for objects (-Xms and -Xmx): half of the memory at most, below 31gb
memory_lock         | bool     | false     |          | restart | Keep all of it in memory, never swapped out
jvm_options         | text     |           | ..8000   | restart | More options of the JVM, with blanks between, or one a line
java                | path     |           |          | restart | Java of the host, where there is neither a jdk package nor a jdk_service; empty: the one that the archive brings
jdk_service         | string   |           | ..48     | restart | Service of kind jdk on this host, whose Java is used; a newer one of it from the next start on
open_files          | int      |           | 1024..1000000 | restart | Most open files and connections; empty: 65536 by systemd, elsewhere as many as the account may have
log_level           | enum     | info      | info, warn, error, debug | restart | How much is written to the log
security            | bool     | false     |          | restart | Users must log in (Elasticsearch from 6.8 on)
password            | secret   |           |          | restart | Of the user elastic, until somebody changes it there; it is what health is asked with
keystore            | secret   |           |          | restart | Secure settings: name=value, one a line
transport_certificate | text   |           | ..32000  | restart | Certificate of this node (PEM), for TLS among the nodes; needed where security and seeds are
transport_key       | secret   |           |          | restart | Its key (PEM)
transport_ca        | text     |           | ..32000  | restart | Certificates of who has signed those of the nodes (PEM)
extra               | text     |           | ..16000  | restart | More settings: name: value, one a line; a list has commas between. Not for secrets
start_timeout       | duration | 3m        | 1s..1h   | none    | How long the start may take, until this node is in its cluster
stop_timeout        | duration | 2m        | 1s..1h   | restart | How long an orderly end may take
'
PACKAGES='
server | required | archive with bin, lib and config, as upstream publishes it | bin/elasticsearch,bin/opensearch
jdk    | optional | archive with bin/java; goes before jdk_service | bin/java
'
VERBS='
meta 10  check_status 20  discover 15  install 600  configure 180  start 3600  stop 3600  restart 7200  reload 120
uninstall 3600  purge 600
'

# parameter | from | form
CLUSTER='
node_name       | host    |
publish         | address |
seeds           | members | {address}:{transport_port}
initial_masters | members | {host}
'

service_files() {
  CONFIG_FILES=("$etc/elasticsearch.yml" "$etc/jvm.options" "$etc/log4j2.properties" "$etc/environment" "$etc/password"
    "$etc/keystore.digest" "$etc/transport.crt" "$etc/transport.key" "$etc/transport-ca.crt")
  LINKS=(current jdk)
  # Its configuration has the name of the program, elasticsearch.yml or opensearch.yml.
  [[ ! -x $current/bin/opensearch ]] || CONFIG_FILES[0]=$etc/opensearch.yml
}

readonly ADDRESS='^([0-9.]+|\[[0-9A-Fa-f:.]+\])$'
readonly HOSTS_AND_PORTS='^([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}(,([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4})*$'
readonly NAMES='^[A-Za-z0-9._-]+( *, *[A-Za-z0-9._-]+)*$'

parameters_fit() {
  local name
  for name in bind transport_bind; do [[ ${PARAM[$name]} =~ $ADDRESS ]] || problem "$name" 'is no address (IPv6 in brackets)'; done
  [[ ${PARAM[publish]} =~ ^([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])?$ ]] || problem publish 'is no address and no name of a host'
  for name in cluster_name node_name; do [[ ${PARAM[$name]} =~ ^[A-Za-z0-9._-]*$ ]] || problem "$name" 'has something else than letters, digits and . _ -'; done
  for name in roles initial_masters; do [[ -z ${PARAM[$name]} || ${PARAM[$name]} =~ $NAMES ]] || problem "$name" 'is not words with commas between'; done
  [[ -z ${PARAM[seeds]} || ${PARAM[seeds]//[[:space:]]/} =~ $HOSTS_AND_PORTS ]] || problem seeds 'is not HOST:PORT, with commas between'
  [[ -z ${PARAM[initial_masters]} || -n ${PARAM[seeds]} ]] || problem initial_masters 'goes with seeds'
  [[ ${PARAM[data_folder]} =~ ^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$ ]] || problem data_folder 'is no name of a folder below data/'
  watermarks_fit
  jdk_service_fits
  jvm_options_fit
  extra_fits
  secrets_fit
}

watermarks_fit() {
  local -a marks
  [[ -n ${PARAM[watermarks]} ]] || return 0
  [[ ${PARAM[watermarks]} =~ ^[1-9][0-9]?(\ +[1-9][0-9]?){2}$ ]] || { problem watermarks 'is not three numbers of percent' && return 0; }
  read -ra marks <<<"${PARAM[watermarks]}"
  ((marks[0] <= marks[1] && marks[1] <= marks[2])) || problem watermarks 'does not rise'
}

# family FOLDER -> REPLY: its name, as its programs have it.
family() { if [[ -x $1/bin/opensearch ]]; then REPLY=opensearch; else REPLY=elasticsearch; fi; }
is_opensearch() { [[ -x $current/bin/opensearch ]]; }
since() { # since ELASTICSEARCH [OPENSEARCH]: the program is of that major version or a later one
  local -i major=${INSTALLED[program]%%.*}
  if is_opensearch; then ((major >= ${2-1})); else ((major >= $1)); fi
}

install() {
  local -a jars
  place_package server
  local -r folder=$REPLY
  family "$folder" && local -r name=$REPLY
  jars=("$folder/lib/$name"-[0-9]*.jar)
  [[ -f ${jars[0]} && -x $folder/bin/$name ]] || fail "$NOT_INSTALLED" 'the package has no bin/elasticsearch and lib/elasticsearch-VERSION.jar, nor those of opensearch'
  [[ ${jars[0]} =~ -([0-9]+\.[0-9.]*[0-9])[^/]*\.jar$ ]] && local -r version=${BASH_REMATCH[1]}
  version_fits "$version"
  [[ -n ${PARAM[java]} ]] || PARAM[java]=$folder/jdk/bin/java
  find_java
  need_java "$REPLY" "$(least_java "$name" "$version")"
  need_maps install
  use_package current "$folder"
  use_java
  installed_as "$version"
}

least_java() { # NAME VERSION
  case $1-$2 in elasticsearch-9.* | opensearch-3.*) echo 21 ;; elasticsearch-8.*) echo 17 ;; opensearch-2.*) echo 11 ;; *) echo 8 ;; esac
}

# need_maps VERB: the kernel lets a process map as many parts of files as it will ask for. Set where a unit keeps it and
# the kernel is this host's own; elsewhere (a container too) said, and a start refused where it is reached from other
# hosts: there it would refuse by itself. With files that are read and not mapped it does not ask.
readonly MAPS=262144
readonly UNMAPPED=$'(^|\n)[ \t]*node\\.store\\.allow_mmap:[ \t]*"?false'
need_maps() {
  local have
  [[ ! ${PARAM[extra]} =~ $UNMAPPED ]] || return 0
  read -r have </proc/sys/vm/max_map_count
  ((have < MAPS)) || return 0
  keeper
  if [[ $REPLY == root ]] && { echo "$MAPS" >/proc/sys/vm/max_map_count; } 2>/dev/null; then
    put "$(sysctl_file)" 0644 <<<"vm.max_map_count = $MAPS"
    did "set vm.max_map_count to $MAPS"
  elif [[ $1 == install || -z ${PARAM[seeds]} || ${PARAM[transport_bind]} == 127.* || ${PARAM[transport_bind]} == '[::1]' ]]; then
    log "vm.max_map_count is $have: with much data it needs $MAPS (sysctl -w vm.max_map_count=$MAPS, as root)"
  else
    fail "$NOT_INSTALLED" "needs vm.max_map_count $MAPS, the host has $have: as root, sysctl -w vm.max_map_count=$MAPS, and the same line in a file of /etc/sysctl.d"
  fi
}

sysctl_file() { echo "/etc/sysctl.d/60-towline-$service.conf"; }
take_back() { keeper && [[ $REPLY != root ]] || remove_file "$(sysctl_file)"; } # at uninstall

configure() {
  need_installed
  make_folders
  follow_jdk
  security_fits
  put "${CONFIG_FILES[0]}" < <(settings_yml)
  put "$etc/jvm.options" < <(jvm_options)
  put "$etc/log4j2.properties" < <(console_log4j2 "${PARAM[log_level]}")
  put "$etc/environment" < <(environment_lines)
  certificates
  password_file
  make_keystore
  configured
}

# launch_command: by upstream's own program, which adds the options that its version needs.
launch_command() {
  local -r folder=$data/${PARAM[data_folder]}
  local name
  follow_jdk
  need_maps start
  [[ ! -e $service_dir/formed || -n $(find "$folder" -mindepth 1 -print -quit 2>/dev/null) ]] ||
    fail "$FAILED" "the data of cluster $(<"$service_dir/formed") is gone from $folder: mount its disk, or purge the service to begin anew"
  if is_opensearch; then name=OpenSearch; else name=Elasticsearch; fi
  data_goes_up "$folder" "$name" "${INSTALLED[program]}"
  give_account
  as_account mkdir -p "$folder" "$data/tmp"
  secrets_digest && put "$run/secrets-started" <<<"$REPLY"
  mapfile -t LAUNCH_ENVIRONMENT <"$etc/environment"
  LAUNCH_FOLDER=$data
  LAUNCH_COMMAND=("$current/bin/${name,,}")
  since 6 || LAUNCH_COMMAND+=("-Epath.conf=$etc")
  first_masters
  never_root
  [[ ${PARAM[memory_lock]} != true ]] || LIMITS=(--memlock=unlimited)
  limited
}

# first_masters: only a node that has never been in its cluster may help to found one: else a node that lost its disk might
# found a second one.
first_masters() {
  local setting=cluster.initial_master_nodes
  [[ -n ${PARAM[initial_masters]} && ! -e $service_dir/formed ]] && since 7 || return 0
  ! is_opensearch || ! since 7 2 || setting=cluster.initial_cluster_manager_nodes
  LAUNCH_COMMAND+=("-E$setting=${PARAM[initial_masters]//[[:space:]]/}")
}

unit_lines() {
  to_seconds "${PARAM[stop_timeout]}" && printf '%s\n' "LimitNOFILE=${PARAM[open_files]:-65536}" 'LimitNPROC=infinity' "TimeoutStopSec=$REPLY"
  [[ ${PARAM[memory_lock]} != true ]] || echo 'LimitMEMLOCK=infinity'
}

# settle: after each start. Once it has been in its cluster it founds none any more.
settle() {
  to_seconds "${PARAM[start_timeout]}"
  wait_healthy "$REPLY"
  put "$service_dir/formed" <<<"${PARAM[cluster_name]:-$service}"
  marks_are_true
}

last_words() { last_cause; }

is_instance() { # for discover; the child of a launcher is no instance of its own
  [[ ${EXE##*/} == java ]] || return 1
  case " ${COMMAND[*]} " in
    *' org.elasticsearch.bootstrap.Elasticsearch '* | *' org.opensearch.bootstrap.OpenSearch '*) ;;
    *' -Dcli.name=server '*' org.elasticsearch.launcher.CliToolLauncher '*) ;;
    *) return 1 ;;
  esac
}

instance_name() { # -> REPLY: the folder of its configuration
  local word
  REPLY=elasticsearch
  for word in "${COMMAND[@]}"; do [[ $word != -D*.path.conf=* ]] || REPLY=${word#*=}; done
}

run_verb "$@"
