"""Instruments: notes become sound."""
