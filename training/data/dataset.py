"""Mixes on the fly, one after another on a CPU: what the network hears and what it should have answered."""

from __future__ import annotations

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from training.data.augmentation import Mixing, Part, Plan, Planner, Songbook
from training.data.pitch_modulation import waver
from training.data.songs import Bank, Recording
from training.data.spectrogram import Batch, analyse

Audio = NDArray[np.float32]
Songs = dict[str, dict[str, Recording]]


class Dataset:
    """Endless mixes of the songs of a bank."""

    def __init__(self, bank: Bank, frames: int, mixing: Mixing, seed: int, *, held_out: bool = False) -> None:
        self.bank = bank
        self.frames = frames
        self.held_out = held_out
        self._planner = Planner(frames, mixing, seed)
        self._songs: Songs = {}
        self._book = Songbook(self._songs)

    def batch(self, size: int) -> Batch:
        """The next ``size`` mixes.

        Raises:
            LookupError: there is no song yet.
        """
        batch = Batch.empty(size, self.frames)
        for item in range(size):
            plan = self.plan()
            if stems := self.play(plan):
                analyse(torch.from_numpy(np.stack(list(stems.values()))), [plan], batch.part(item, item + 1))
        return batch

    def mix(self) -> dict[str, Audio]:
        """The next mix: ``(2, samples)`` of each stem that plays in it, at its level. Their sum is the mix."""
        return self.play(self.plan())

    def plan(self) -> Plan:
        """Draws the next mix of the songs that are in the bank now."""
        songs = self.bank.held_out if self.held_out else self.bank.training
        if songs is not self._songs or len(songs) != len(self._book.names):
            self._songs, self._book = songs, Songbook(songs)
        return self._planner.draw(self._book)

    def play(self, plan: Plan) -> dict[str, Audio]:
        """The stems of the plan that was drawn last, ``(2, samples)`` each."""
        stems = {part.stem: self._part(part) for part in plan.parts}
        if plan.swapped:
            stems = {stem: audio[::-1] for stem, audio in stems.items()}
        if plan.width != 1:
            stems = {stem: _widened(audio, plan.width) for stem, audio in stems.items()}
        peak = max(1e-3, float(np.abs(sum(stems.values())).max())) if stems else 1.0
        return {stem: audio * np.float32(plan.peak / peak) for stem, audio in stems.items()}

    def _part(self, part: Part) -> Audio:
        audio = self._songs[part.song][part.stem].cut(part.start, part.read)
        if part.read != (length := self._planner.samples):
            audio = _resample(audio, length)
        if part.wavering:
            audio = waver(torch.from_numpy(audio), part.wavering).numpy()
        if part.swapped:
            audio = audio[::-1]
        if part.width != 1:
            audio = _widened(audio, part.width)
        if part.side_db:
            audio = audio * np.array([[10 ** (part.side_db / 20)], [10 ** (-part.side_db / 20)]], np.float32)
        if part.drive_db is not None:
            drive = np.float32(10 ** (part.drive_db / 20) / max(1e-3, float(np.abs(audio).max())))
            audio = np.tanh(audio * drive) / drive
        return audio * np.float32(part.gain)


def _widened(audio: Audio, width: float) -> Audio:
    """``(2, n)`` with its sides scaled: 0 is mono, exactly, 1 is as it was."""
    left, right = audio
    middle, side = (left + right) / 2, (left - right) * np.float32(width / 2)
    return np.stack([middle + side, middle - side])


def _resample(audio: Audio, length: int) -> Audio:
    """Plays ``(2, n)`` in ``length`` samples, faster or slower."""
    resampled = soxr.resample(audio.T, audio.shape[1], length, quality="LQ").T  # (2, n) -> (n, 2) and back
    short = max(0, length - resampled.shape[1])
    return np.asarray(np.pad(resampled[:, :length], ((0, 0), (0, short))), np.float32)
