#!/usr/bin/env bash
# knock.sh HOST PORT: opens a connection and leaves; a program of its own, so that its caller can limit its time.
set -Eeuo pipefail
: <>"/dev/tcp/$1/$2"
