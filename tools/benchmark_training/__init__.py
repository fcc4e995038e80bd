"""Training steps against Keras' own `fit`, and timm's: `python -m tools.benchmark_training`."""
