"""Where documents come from: each source returns bytes, untrusted, and says where they came from."""
