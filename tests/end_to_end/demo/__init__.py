"""The demo: a backend and three hosts on this machine, told as a story, each claim checked on the real thing.

It is an end-to-end test that a newcomer can watch: `python -m demo` (through `nox -s demo`), `--exit` ends by itself.
"""
