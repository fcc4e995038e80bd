"""Search over a member's parameters: `python -m pipeline.network.tune`."""
