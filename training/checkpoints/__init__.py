"""Checkpoints: files of weights, and the tools that convert them."""
