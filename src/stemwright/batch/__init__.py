"""Batches: libraries of songs that many processes on many hosts separate, without a server."""
