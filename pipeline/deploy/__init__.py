"""From weights to a checked, measured bundle."""
