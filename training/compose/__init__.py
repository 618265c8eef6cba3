"""Composition: songs as notes, before anything sounds."""
