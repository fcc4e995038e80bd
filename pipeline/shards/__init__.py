"""Many images in few files, and what of them an earlier run has made already."""
