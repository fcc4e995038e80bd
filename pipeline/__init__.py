"""From dermoscopy archives to a measured ONNX ensemble; see README.md."""
