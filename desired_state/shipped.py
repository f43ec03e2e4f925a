"""Where the scripts that come with towline lie. Names only: who wants the files looks there itself."""

_OWN = __file__.rpartition("/")[0]
SCRIPT_FOLDERS = (f"{_OWN}/_scripts", f"{_OWN.rpartition('/')[0]}/scripts")
"""Inside the installed wheel, and in the checkout. The one that holds a `common.sh` is it."""
