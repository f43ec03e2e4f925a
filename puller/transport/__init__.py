"""HTTP, out of this host only: the client, signed requests, downloads with resume, reports."""
