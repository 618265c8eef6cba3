"""Where the tiles of a tile file are, and what they show. Read without NumPy, so that a server needs none."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass

TILE_COLUMNS = 256
TRAILER = struct.Struct(">I")
"""The last bytes of a tile file: how many bytes of JSON are before them."""


@dataclass(frozen=True)
class Picture:
    """What the tiles show.

    Attributes:
        sample_rate: Hz of the sound.
        samples: of the sound.
        samples_per_column: of level 0; each level above has twice as many.
        rows: height of a tile.
        highest_hz: frequency at the top.
        floor_db: level of the darkest colour, in dB of a sine at full scale.
        ceiling_db: level of the brightest one.
    """

    sample_rate: int
    samples: int
    samples_per_column: int
    rows: int
    highest_hz: float
    floor_db: float
    ceiling_db: float


@dataclass(frozen=True)
class TileIndex:
    """Where the tiles of each level are.

    Attributes:
        picture: what they show.
        columns: of each level.
        tiles: of each level, first byte and number of bytes of each tile.
    """

    picture: Picture
    columns: list[int]
    tiles: list[list[tuple[int, int]]]


def read_index(size_bytes: int, read: Callable[[int, int], bytes]) -> TileIndex:
    """The index of a tile file.

    Args:
        size_bytes: of the file.
        read: gives the bytes of the file from a place up to another one.

    Raises:
        ValueError: it is not a tile file.
    """
    end = size_bytes - TRAILER.size
    if end < 0:
        raise ValueError("a tile file ends with the length of its index")
    (length,) = TRAILER.unpack(read(end, size_bytes))
    if length > end:
        raise ValueError("the index of a tile file cannot be longer than the file")
    facts = json.loads(read(end - length, end))
    tiles = [[(int(start), int(size)) for start, size in level] for level in facts["tiles"]]
    return TileIndex(Picture(**facts["picture"]), facts["columns"], tiles)
