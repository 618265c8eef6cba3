"""Decodes files to blocks of samples.

Length and alignment match the encoder's input, as far as the file states them. FFmpeg drops the samples that a
file marks as padding (the LAME tag of MP3: the encoder's delay and the 529 samples of the decoder; the pre-skip of
Opus). Edit lists and iTunSMPB of MP4, packet tables of CAF, and the LAME tags of joined MP3s can be wrong: ``parts_of``
checks them, and ``PartTrack`` trims. CodecDelay and DiscardPadding of Matroska are checked by ``PaddingMarks``. MP3
without a LAME tag and raw AAC do not state their delay: all decoded samples are kept, as players do. So are those of
AC-3, of fragmented MP4 without an edit list, and of IMA ADPCM with a wrong ``fact`` chunk.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Self

from stemwright.audio.frame import Block
from stemwright.audio.input_file import SourceFormat
from stemwright.audio.sound_track import SoundTrack
from stemwright.errors import UsageError

LONGEST_BLOCK = 262_144
"""Limit of a block in samples. A packet may have minutes (PCM in compressed Matroska), and later steps copy it."""


class Decoder:
    """Decodes a file's first audio track to float32 blocks ``(channels, samples)``, channels 1 or 2, of any length up
    to ``LONGEST_BLOCK``.

    Integers of 8, 16 and 24 bits are exact, as value / 2^(bits-1). ``start_s`` and ``duration_s`` give the same
    samples as slicing the whole; decoding still begins at the start of the file, since codecs with memory do not give
    the same samples after a seek. Raises UnreadableInputError, and UsageError for a start beyond the end.

    ``notes`` is complete when all blocks were read; ``samples`` is the number of samples so far.
    """

    def __init__(self, path: Path, *, start_s: float = 0.0, duration_s: float | None = None) -> None:
        if not 0 <= start_s < math.inf:
            raise UsageError(f"The start is {start_s:g} s: give 0 or more seconds.")
        if duration_s is not None and not 0 < duration_s < math.inf:
            raise UsageError(f"The duration is {duration_s:g} s: give more than 0 seconds.")
        self.samples = 0
        self._track = SoundTrack(path)
        self.format: SourceFormat = self._track.format
        self.notes = self._track.notes
        rate = self.format.sample_rate
        self._start = round(start_s * rate)
        self._stop = None if duration_s is None else self._start + max(1, round(duration_s * rate))
        self._blocks = self._cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Block:
        return next(self._blocks)

    def close(self) -> None:
        """Closes the file."""
        self._blocks.close()
        self._track.close()

    def _cut(self) -> Generator[Block, None, None]:
        position = 0
        for block in self._track.blocks():
            first = max(0, self._start - position)
            last = block.shape[1] if self._stop is None else min(block.shape[1], self._stop - position)
            position += block.shape[1]
            for start in range(first, last, LONGEST_BLOCK):
                end = min(last, start + LONGEST_BLOCK)
                self.samples += end - start
                yield block[:, start:end]
            if self._stop is not None and position >= self._stop:
                return
        if self.samples == 0:
            rate = self.format.sample_rate
            raise UsageError(
                f"A start at {self._start / rate:g} s is beyond the end of {self._track.path}, which is "
                f"{position / rate:.1f} s long: give an earlier one."
            )


def probe(path: Path) -> SourceFormat:
    """The format of the file's first audio track; raises UnreadableInputError if none can be decoded."""
    with Decoder(path) as decoder:
        return decoder.format
