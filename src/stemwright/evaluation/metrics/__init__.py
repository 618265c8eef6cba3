"""Metrics besides the plain SDR, one module each. All work block by block, so a song need not fit in memory."""
