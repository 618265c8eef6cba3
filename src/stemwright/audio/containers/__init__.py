"""Containers, read byte by byte: which streams of sound a file has, and how long each of them is."""
