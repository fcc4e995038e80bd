"""Kills of stage `train` and what they end in: `python -m tools.measure_kills`."""
