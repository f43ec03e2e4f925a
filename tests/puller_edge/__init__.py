"""Tests of the puller's edge: what it asks of networks, files and git."""
