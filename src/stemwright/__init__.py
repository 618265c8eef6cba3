"""Splits a finished song into its stems."""
