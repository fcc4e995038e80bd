"""What runs at the hospital: a bundle, ONNX Runtime, never TensorFlow."""
