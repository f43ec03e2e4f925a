"""`python -m api.cli`: the command `towline` where it is not installed."""

from api.cli import main

main()
