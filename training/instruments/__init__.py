"""Instruments: render notes to audio."""
