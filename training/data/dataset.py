"""Training mixes on a CPU, made one after another as they are needed: the network's input and its target."""

from __future__ import annotations

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from training.data.augmentation import MixPart, MixPlan, MixPlanner, MixSettings, SongIndex
from training.data.cues import NO_CUE, Cue
from training.data.pitch_modulation import modulate_pitch
from training.data.songs import SongCache, StemAudio
from training.data.spectrogram import Batch, fill_batch

Audio = NDArray[np.float32]
Songs = dict[str, dict[str, StemAudio]]


class Dataset:
    """An endless series of mixes of the songs in a cache."""

    def __init__(
        self,
        song_cache: SongCache,
        frames: int,
        mix_settings: MixSettings,
        seed: int,
        *,
        held_out: bool = False,
        cue: Cue = NO_CUE,
    ) -> None:
        self.song_cache = song_cache
        self.frames = frames
        self.held_out = held_out
        self.cue = cue
        self._planner = MixPlanner(frames, mix_settings, seed)
        self._songs: Songs = {}
        self._song_index = SongIndex(self._songs)

    def batch(self, size: int) -> Batch:
        """The next ``size`` mixes.

        Raises:
            LookupError: there is no song yet.
        """
        batch = Batch.empty(size, self.frames, cue=self.cue)
        for item in range(size):
            plan = self.plan()
            if stems := self.play(plan):
                audio = torch.from_numpy(np.stack(list(stems.values())))
                fill_batch(audio, [plan], batch.part(item, item + 1), self.cue)
        return batch

    def mix(self) -> dict[str, Audio]:
        """The next mix: ``(2, samples)`` of each stem that plays in it, at its level. Their sum is the mix."""
        return self.play(self.plan())

    def plan(self) -> MixPlan:
        """Draws the next mix of the songs that are in the cache now."""
        songs = self.song_cache.held_out if self.held_out else self.song_cache.training
        if songs is not self._songs or len(songs) != len(self._song_index.names):
            self._songs, self._song_index = songs, SongIndex(songs)
        return self._planner.draw(self._song_index)

    def play(self, plan: MixPlan) -> dict[str, Audio]:
        """The stems of the plan that was drawn last, ``(2, samples)`` each."""
        stems = {part.stem: self._part(part) for part in plan.parts}
        if plan.swapped:
            stems = {stem: audio[::-1] for stem, audio in stems.items()}
        if plan.width != 1:
            stems = {stem: _with_width(audio, plan.width) for stem, audio in stems.items()}
        peak = max(1e-3, float(np.abs(sum(stems.values())).max())) if stems else 1.0
        return {stem: audio * np.float32(plan.peak / peak) for stem, audio in stems.items()}

    def _part(self, part: MixPart) -> Audio:
        audio = self._songs[part.song][part.stem].cut(part.start, part.read)
        if part.read != (length := self._planner.samples):
            audio = _resample(audio, length)
        if part.pitch_modulation:
            audio = modulate_pitch(torch.from_numpy(audio), part.pitch_modulation).numpy()
        if part.swapped:
            audio = audio[::-1]
        if part.width != 1:
            audio = _with_width(audio, part.width)
        if part.side_db:
            audio = audio * np.array([[10 ** (part.side_db / 20)], [10 ** (-part.side_db / 20)]], np.float32)
        if part.drive_db is not None:
            drive = np.float32(10 ** (part.drive_db / 20) / max(1e-3, float(np.abs(audio).max())))
            audio = np.tanh(audio * drive) / drive
        return audio * np.float32(part.gain)


def _with_width(audio: Audio, width: float) -> Audio:
    """``(2, n)`` with its side signal scaled by ``width``: 0 is exactly mono, 1 leaves it unchanged."""
    left, right = audio
    middle, side = (left + right) / 2, (left - right) * np.float32(width / 2)
    return np.stack([middle + side, middle - side])


def _resample(audio: Audio, length: int) -> Audio:
    """Plays ``(2, n)`` in ``length`` samples, faster or slower."""
    resampled = soxr.resample(audio.T, audio.shape[1], length, quality="LQ").T  # (2, n) -> (n, 2) and back
    short = max(0, length - resampled.shape[1])
    return np.asarray(np.pad(resampled[:, :length], ((0, 0), (0, short))), np.float32)
