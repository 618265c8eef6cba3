"""Measures separation quality against the true stems."""
