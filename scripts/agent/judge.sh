# shellcheck shell=bash
# judge.sh: everything that an install needs, judged before anything is changed.
