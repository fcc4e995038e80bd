"""Random changes to training images: drawn on the host, applied on the device."""
