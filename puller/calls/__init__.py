"""Script calls: what a script is given, the small process beside it, what it leaves behind."""
