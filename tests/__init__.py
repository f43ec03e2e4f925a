"""towline's tests. `nox -s tests` runs them against the installed wheel, `python -m pytest` against the checkout."""
