"""The first files of a kind of one's own."""
