# shellcheck shell=bash
# peers.sh: a primary and its replicas, for kinds with the parameters replica_of and peers.

readonly PEER='([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}'

peers_fit() { [[ ${PARAM[peers]} =~ ^($PEER(,$PEER)*)?$ ]] || problem peers 'is not HOST:PORT, with commas between'; }

# all_connected REPLICAS: as many as a primary has peers, or says so in REASON. A replica expects none.
all_connected() {
  local -a peers
  [[ -n ${PARAM[peers]} && -z ${PARAM[replica_of]} ]] || return 0
  IFS=, read -ra peers <<<"${PARAM[peers]}"
  (($1 >= ${#peers[@]})) || { REASON="$1 of ${#peers[@]} replicas are connected" && return 1; }
}
