#!/usr/bin/env bash
# nginxctl.sh: nginx with one site of its own: files, a page, or a proxy. Healthy means: our process listens on its port
# and answers the health path by HTTP below 400.
set -Eeuo pipefail
umask 077
LIGHT_LOOK=true
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=common.sh
. "${here:-./}common.sh"

KIND=nginx
SUMMARY='nginx: a web server or a proxy'
HOLDS_DATA=false
VERSIONS='1'
PORTS=port

# name | type | default | bounds | effect | help
PARAMETERS='
port               | port   | 8080      |           | reload | Port to listen on
bind               | string | 0.0.0.0   | 1..64     | reload | Address to listen on
server_name        | string | _         | 1..500    | reload | Names of the site, with blanks between
index_html         | text   | It works. | ..60000   | reload | The page, where there is neither a content package nor an upstream
upstream           | peer   |           |           | reload | HOST:PORT to hand all requests to
health_path        | string | /         | 1..500    | none   | Path to ask for health
worker_processes   | int    | 1         | 1..256    | reload | Number of workers
worker_connections | int    | 1024      | 16..65000 | reload | Most connections of one worker
max_body_size      | size   | 1mb       | 0..       | reload | Largest request body
gzip               | bool   | true      |           | reload | Compress what is text
access_log         | bool   | true      |           | reload | A line per request in the log
extra              | text   |           | ..8000    | reload | More directives for the server block, in the language of nginx; tested before they are used
'
PACKAGES='
server  | required | archive with sbin/nginx or bin/nginx | sbin/nginx,bin/nginx,nginx
content | optional | archive with the files of the site
'
VERBS='
meta 10  check_status 15  discover 15  install 300  configure 30  start 60  stop 60  restart 120  reload 30
uninstall 120  purge 120
'

service_files() {
  CONFIG_FILES=("$etc/nginx.conf" "$etc/html/index.html")
  LINKS=(current content)
}

parameters_fit() {
  [[ ${PARAM[bind]} =~ ^([0-9.]+|\[[0-9A-Fa-f:.]+\])$ ]] || problem bind 'is no address (IPv6 in brackets)'
  [[ ${PARAM[server_name]} =~ ^[A-Za-z0-9._*\ -]+$ ]] || problem server_name 'has something else than names'
  [[ ${PARAM[health_path]} =~ ^/[!-~]*$ ]] || problem health_path 'is no path of a URL'
}

program() { program_of "${1-$current}" sbin/nginx bin/nginx nginx; } # program [FOLDER] -> REPLY

install() {
  local content=''
  place_package server
  local -r folder=$REPLY
  program "$folder"
  version_of "$REPLY" -v
  local -r version=$REPLY
  if [[ -n ${TOWLINE_PACKAGE_content-} ]]; then place_package content && content=$REPLY; fi
  use_package current "$folder"
  if [[ -n $content ]]; then use_package content "$content"; else release_packages content; fi
  installed_as "$version"
}

# The site: a proxy, the files of the content package, or the one page.
site() {
  if [[ -n ${PARAM[upstream]} ]]; then
    printf '    location / {\n      proxy_pass http://%s;\n' "${PARAM[upstream]}"
    printf '      proxy_set_header %s;\n' "Host \$host" "X-Forwarded-For \$proxy_add_x_forwarded_for"
    printf '    }\n'
  elif [[ -L $service_dir/content ]]; then
    printf '    root "%s";\n' "$service_dir/content"
  else
    printf '    root "%s";\n' "$etc/html"
  fi
}

configure() {
  need_installed
  make_folders
  mkdir -p "$etc/html"
  to_bytes "${PARAM[max_body_size]}" && local -r body=$REPLY
  test_conf "$body"
  put "$etc/nginx.conf" < <(nginx_conf "$body" "$data")
  put "$etc/html/index.html" < <(printf '%s' "${PARAM[index_html]}")
  configured
}

nginx_conf() { # nginx_conf MAX_BODY FOLDER: with nginx's own files in that folder
  cat <<CONF
# Written by towline for the service $service; a change by hand is drift and is taken back.
$(master_lines)
daemon off;
worker_processes ${PARAM[worker_processes]};
pid "$2/nginx.pid";
error_log stderr warn;
events { worker_connections ${PARAM[worker_connections]}; }
http {
  types {
    text/html html htm; text/css css; text/plain txt; application/javascript js mjs; application/json json;
    image/svg+xml svg; image/png png; image/jpeg jpg jpeg; image/webp webp; image/x-icon ico; font/woff2 woff2;
    application/wasm wasm; application/pdf pdf; text/xml xml;
  }
  default_type application/octet-stream;
  map \$http_user_agent \$by_people { default 1; towline 0; }
  access_log $(if [[ ${PARAM[access_log]} == true ]]; then echo "/dev/stdout combined if=\$by_people"; else echo off; fi);
  server_tokens off;
  sendfile on;
  gzip $(if [[ ${PARAM[gzip]} == true ]]; then echo on; else echo off; fi);
  gzip_types text/css text/plain application/javascript application/json image/svg+xml;
  client_max_body_size $1;
  client_body_temp_path "$2/body";
  proxy_temp_path "$2/proxy";
  fastcgi_temp_path "$2/fastcgi";
  uwsgi_temp_path "$2/uwsgi";
  scgi_temp_path "$2/scgi";
  server {
    listen ${PARAM[bind]}:${PARAM[port]};
    server_name ${PARAM[server_name]};
$(site)
    # extra:
${PARAM[extra]}
  }
}
CONF
}

# As root without an account of its own, the workers stay what the master is: their files are readable by nobody else.
master_lines() {
  make_account
  if ((UID == 0)) && [[ -z $REPLY ]]; then echo 'user root root;'; else echo '# no user: the master is none that could change it'; fi
}

# What nginx itself refuses, the document gets back with nginx's words. Tested in a folder that nobody else can write to:
# `nginx -t` opens its files as whoever calls, and data/ belongs to the service's account.
test_conf() { # test_conf MAX_BODY
  local words code=$DOCUMENT_WRONG
  local -r trial=$run/trial
  mkdir -p "$trial"
  program
  nginx_conf "$1" "$trial" >"$trial/nginx.conf"
  if words=$("$REPLY" -t -q -p "$trial" -c "$trial/nginx.conf" 2>&1 >/dev/null); then
    code=$DONE
  elif [[ $words == *'host not found in upstream'* ]]; then
    code=$FAILED # its name may be known later
  fi
  rm -f -- "$trial/nginx.conf" "$trial/nginx.pid"
  rmdir -- "$trial"/*/ "$trial" 2>/dev/null || :
  ((code == DONE)) || fail "$code" "nginx refuses the configuration: ${words//"$trial/"/}"
}

launch_command() {
  program
  LAUNCH_COMMAND=("$REPLY" -p "$data" -c "$etc/nginx.conf")
  LAUNCH_FOLDER=$data
}

unit_lines() { echo 'AmbientCapabilities=CAP_NET_BIND_SERVICE'; }

healthy() {
  listens "${PARAM[port]}" || { REASON="does not listen on port ${PARAM[port]}" && return 1; }
  reachable "${PARAM[bind]}"
  http_healthy "$REPLY" "${PARAM[port]}" "${PARAM[health_path]}"
}

# HUP, and then proof: a worker that was not there before. Where nginx cannot use what it read, it keeps its old ones.
reload() {
  need_installed
  running || fail "$FAILED" "$service does not run"
  config_digest
  [[ ${IDENTITY[config]-} != "$REPLY" ]] || return 0
  workers
  local -r before=" ${WORKERS[*]-} "
  signal HUP
  deadline 10
  wait_until new_worker || fail "$FAILED" "nginx keeps its old configuration: $(last_words)"
  wait_healthy 20
  reloaded
}

declare -a WORKERS=()
workers() { # sets WORKERS: the other processes of the master's session, which are its children
  local entry
  WORKERS=()
  for entry in /proc/[0-9]*; do
    if process_stat "${entry##*/}" && [[ $SESSION == "${IDENTITY[pid]}" ]]; then WORKERS+=("${entry##*/}"); fi
  done
}

new_worker() {
  local worker
  workers
  for worker in ${WORKERS[@]+"${WORKERS[@]}"}; do [[ $before == *" $worker "* ]] || return 0; done
  return 1
}

is_instance() { [[ ${EXE##*/} == nginx && ${COMMAND[0]} != *'worker process'* ]]; } # for discover
instance_name() { REPLY=nginx; }

run_verb "$@"
