"""Builds and trains the members; the only package below `deploy` that imports Keras."""
