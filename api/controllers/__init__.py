"""The HTTP API: each handler parses, calls one service, and returns a struct."""
