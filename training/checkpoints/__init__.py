"""Checkpoints: files of weights, and what is made of them."""
