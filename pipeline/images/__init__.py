"""Pure operations on pixels."""
