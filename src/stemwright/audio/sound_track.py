"""The first audio track of a file: all its parts, with the sample rate and channels of the first part."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from stemwright.audio.containers.part import Part
from stemwright.audio.containers.parts import parts_of
from stemwright.audio.frame import Block, with_channels
from stemwright.audio.input_file import SourceFormat, check_file
from stemwright.audio.part_track import PartTrack
from stemwright.audio.resample import Resampler
from stemwright.errors import UnreadableInputError

BLOCK_SAMPLES = 32768
# A file "ends early" if more than this is missing: containers round their lengths, and WMA includes its delay.
EARLY_END_S = 0.2


class SoundTrack:
    """Decodes a file from its start to its end; raises UnreadableInputError.

    ``notes`` says, after all blocks were read, what was changed or could not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        check_file(path)
        self._parts = deque(parts_of(path))
        self._read_s = 0.0
        self._meant_s = 0.0
        self._is_early = False
        self._current = self._open_first()
        held_s = self._current.format.duration_s
        if held_s is not None and self._parts:
            rest = [part.length.held_s if part.length else None for part in self._parts]
            held_s = None if None in rest else held_s + sum(one for one in rest if one is not None)
        self.format: SourceFormat = replace(self._current.format, duration_s=held_s)

    def close(self) -> None:
        """Close the file."""
        self._current.close()

    def blocks(self) -> Iterator[Block]:
        """The whole track, once: ``(channels, samples)`` float32, about ``BLOCK_SAMPLES`` long."""
        waiting: list[Block] = []
        held = total = 0
        for block in self._at_one_rate():
            waiting.append(block)
            held += block.shape[1]
            total += block.shape[1]
            if held >= BLOCK_SAMPLES:
                yield np.concatenate(waiting, axis=1)
                waiting, held = [], 0
        if not total:
            raise self._current.silent()
        if self._is_early:
            self._note(f"The file ends early: {self._read_s:.1f} of {self._meant_s:.1f} s could be read.")
        if held:
            yield np.concatenate(waiting, axis=1)

    def _open_first(self) -> PartTrack:
        """The first part that can be decoded; raises the error of the very first part if none can."""
        refusal: UnreadableInputError | None = None
        while self._parts:
            try:
                track = PartTrack(self.path, self._parts.popleft())
            except UnreadableInputError as error:
                refusal = refusal or error
                continue
            if refusal is not None:
                self._note("The first part of the file holds no sound that can be read: it was left out.")
            return track
        assert refusal is not None  # there is at least one part
        raise refusal

    def _tracks(self) -> Iterator[PartTrack]:
        while True:
            yield self._current
            self._conclude(self._current)
            opened = self._open_next()
            if opened is None:
                return
            self._current.close()
            self._current = opened

    def _open_next(self) -> PartTrack | None:
        while self._parts:
            part: Part = self._parts.popleft()
            try:
                return PartTrack(self.path, part)
            except UnreadableInputError:
                if part.length is None or part.length.held_s:
                    self._note(f"A part of the file, at {self._read_s:.1f} s, cannot be read: it was left out.")
        return None

    def _at_one_rate(self) -> Iterator[Block]:
        """All parts as blocks with the rate and channels of the first one."""
        target = self.format.sample_rate
        channels = self.format.channels
        own_channels: int | None = None
        resampler = Resampler(target, target, channels)
        for track in self._tracks():
            if track.format.file_channels != self.format.file_channels:
                self._note_channels()
            for rate, block in track.blocks():
                if own_channels not in (None, block.shape[0]):
                    self._note_channels()
                own_channels = block.shape[0]
                if rate != resampler.in_rate:
                    yield from _rest(resampler)
                    if rate != target:
                        self._note(
                            f"The sample rate of the file changes from {target} to {rate} Hz at {self._read_s:.1f} s: "
                            f"what follows was resampled to {target} Hz."
                        )
                    resampler = Resampler(rate, target, channels)
                self._read_s += block.shape[1] / rate
                ready = resampler.process(with_channels(block, channels))
                if ready.shape[1]:
                    yield ready
        yield from _rest(resampler)

    def _conclude(self, track: PartTrack) -> None:
        """Collect the notes of a part, and check if it was shorter than its header says."""
        for note in track.notes:
            self._note(note)
        read_s = track.read_s
        meant_s = read_s if track.claimed_s is None else max(read_s, track.claimed_s)
        self._meant_s += meant_s
        if meant_s - read_s > EARLY_END_S:
            self._is_early = True

    def _note_channels(self) -> None:
        self._note("The number of channels changes in the file: all was brought to that of its start.")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _rest(resampler: Resampler) -> Iterator[Block]:
    """The samples that are left in a resampler."""
    if resampler.in_rate == resampler.out_rate:
        return
    rest = resampler.process(np.zeros((resampler.channels, 0), np.float32), last=True)
    if rest.shape[1]:
        yield rest
