"""Moved to ``stemwright.models.bands``."""

from stemwright.models.bands import BANDS_384, BandLayout

__all__ = ["BANDS_384", "BandLayout"]
