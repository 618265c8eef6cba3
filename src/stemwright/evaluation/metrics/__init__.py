"""Metrics beside the plain SDR, one module each. All are fed block by block, so that a song need not fit in memory."""
