"""Numbers about predictions."""
