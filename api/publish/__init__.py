"""What goes out: the script bundle, artifacts by digest, and the places where documents are put."""
