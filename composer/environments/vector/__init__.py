"""Vector environments: rows, copies and worker processes."""
