"""Headers of WAV files of 32-bit floats whose length is known before, also as broadcast wave (EBU Tech 3285)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

FLOAT_FORMAT = 3
SAMPLE_BYTES = 4
MAX_RIFF_BYTES = (1 << 32) - 1

_BEXT = struct.Struct("<256s32s32s10s8sQH64s190s")
"""Version 1: description, originator, its reference, date, time, time reference, version, UMID, reserved."""
_FORMAT = struct.Struct("<HHIIHHH")


@dataclass(frozen=True)
class Broadcast:
    """What a ``bext`` chunk says.

    Attributes:
        description: of the sound, up to 256 characters of ASCII.
        time_reference: samples since midnight at which the sound begins; files of one set have the same.
    """

    description: str
    time_reference: int = 0

    def chunk(self) -> bytes:
        """The content of the chunk."""
        description = self.description.encode("ascii", "replace")[:256]
        return _BEXT.pack(description, b"Stemwright", b"", b"", b"", self.time_reference, 1, b"", b"")


def float_wave_header(sample_rate: int, channels: int, n_samples: int, broadcast: Broadcast | None = None) -> bytes:
    """All that comes before the samples, which follow interleaved.

    Raises:
        ValueError: the file would have more than 4 GB, the most that RIFF can say.
    """
    frame_bytes = channels * SAMPLE_BYTES
    form = _FORMAT.pack(
        FLOAT_FORMAT, channels, sample_rate, sample_rate * frame_bytes, frame_bytes, 8 * SAMPLE_BYTES, 0
    )
    chunks = _chunk(b"bext", broadcast.chunk()) if broadcast is not None else b""
    chunks += _chunk(b"fmt ", form) + _chunk(b"fact", struct.pack("<I", min(n_samples, MAX_RIFF_BYTES)))
    data_bytes = n_samples * frame_bytes
    riff_bytes = 4 + len(chunks) + 8 + data_bytes
    if riff_bytes > MAX_RIFF_BYTES:
        raise ValueError("a WAV file holds at most 4 GB")
    return struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE") + chunks + struct.pack("<4sI", b"data", data_bytes)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body
