"""Songs of the drill: pieces of the example song, short ones and one that takes a worker some time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from stemwright.audio.decode import Decoder
from tests.drills.orders import ORDERS, Order

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "song.mp3"
RATE_HZ = 44_100
SHORT_S = (3.0, 4.5, 6.0, 9.0, 12.0)
LONG_S = 90.0


@dataclass(frozen=True)
class SongFile:
    """A song and how it is always ordered.

    Attributes:
        path: a FLAC file.
        seconds: its length.
    """

    path: Path
    seconds: float
    order: Order

    @property
    def is_long(self) -> bool:
        """Whether a worker has it in hand for several seconds."""
        return self.seconds >= LONG_S


def cut_songs(folder: Path, count: int) -> list[SongFile]:
    """Writes songs that all differ, the first one long."""
    with Decoder(EXAMPLE) as decoder:
        whole = np.concatenate(list(decoder), axis=1).T  # (samples, channels)
    songs = []
    for number in range(count):
        seconds = SHORT_S[number % len(SHORT_S)] if number else LONG_S
        samples = np.roll(whole, -number * RATE_HZ * 2, axis=0)
        samples = np.resize(samples, (round(seconds * RATE_HZ), whole.shape[1]))
        path = folder / f"song-{number}.flac"
        soundfile.write(path, samples, RATE_HZ, "PCM_16")
        songs.append(SongFile(path, seconds, ORDERS[number % len(ORDERS)] if number else "two"))
    return songs
