"""Tests of `pipeline.images.corruptions`."""
