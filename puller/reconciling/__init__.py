"""One pass, stage by stage: `reconcile` reads top to bottom and names them."""
