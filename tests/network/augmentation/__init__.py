"""Tests of `pipeline.network.augmentation`."""
