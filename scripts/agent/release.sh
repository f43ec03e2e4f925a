# shellcheck shell=bash
# release.sh: from an archive to agent/releases/<id>, switched by one rename.
