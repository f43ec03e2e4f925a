"""What towline costs. `nox -s bench` prints a table, `nox -s bench -- --json` one object a line.

Every figure stands beside a reference that is measured in the same run on the same machine: the ratio is what can be
compared from one day, or one machine, to the next. The aims and what was found are in docs/benchmarks.md.
"""
