"""The input gate: what a picture is like, what training images are like, and reasons to warn."""
