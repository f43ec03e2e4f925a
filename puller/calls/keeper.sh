#!/usr/bin/env bash
# keeper.sh <timeout_s> <script> <verb>: stays beside one script call, in the step's scratch folder, so that the puller
# may die meanwhile. Leaves `err` (the last MiB) and `receipt`: a line `exit=<code> seconds=<n>`, then what was printed.
# Standard input is the step's lock, held for as long as this process lives; the script gets neither it nor a pipe's end.
set -u
trap : TERM # for readers that a daemon holds open: the puller ends them, and the receipt is still written
exec 3> >(exec tail -c 1048576 >err 4>&-)
log=$!
# dd, not head: what it read is on the disk even when it is ended. Beyond the bound the script meets a closed pipe.
exec 4> >(exec dd bs=1 count=65537 status=none >out 3>&-)
out=$!
timeout -k 10 "$1" bash "$2" "$3" </dev/null 2>&3 >&4 3>&- 4>&-
code=$?
for name in "${!TOWLINE_SECRET_@}"; do rm -f -- "${!name}"; done # also where no puller comes to do it
exec 3>&- 4>&-
printf 'exit=%s seconds=%s\n' "$code" "$SECONDS" >code
wait "$out" "$log"
printf '%s\n%s\n' "$(<code)" "$(<out)" >receipt.new && sync receipt.new && mv receipt.new receipt
