"""Commands of the project that are no DVC stage: `python -m tools.<name>`, mostly through make."""
