"""The pure core: documents, signatures, trust, diff, plan, outcome. No I/O, no clock, no randomness."""
