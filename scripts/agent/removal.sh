# shellcheck shell=bash
# removal.sh: the commands uninstall, installall and uninstallall.
