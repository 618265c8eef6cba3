"""Writes pictures with a palette as PNG (RFC 2083): a quarter of the data of true colour, with no library."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE = 3
"""The colour type: each pixel is the number of a colour."""

EFFORT = 6
"""Of zlib, from 1 to 9."""


def palette_png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """A PNG file.

    Args:
        pixels: ``(height, width)``, numbers of colours, the upper left first.
        palette: ``(n, 3)``, at most 256 colours of sRGB.
    """
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)
    # Each line begins with its filter; 0: none.
    lines = np.pad(pixels, ((0, 0), (1, 0))).tobytes()
    chunks = [(b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(lines, EFFORT)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
