"""Training mixes on a GPU, many at once, of songs that are in its memory: the GPU's ``training.data.dataset``.

The same plans give the same mixes as on a CPU; only the interpolation of stems that are played faster or slower
differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from training.data.augmentation import MixPart, MixPlan, MixPlanner, MixSettings, SongIndex
from training.data.device_songs import DeviceSong, DeviceSongs
from training.data.pitch_modulation import modulate_pitch
from training.data.prefetch import Prefetcher
from training.data.spectrogram import Batch, fill_batch, plan_numbers, sum_parts, to_device

INTERPOLATION_TAPS = 8
"""Samples from which a value between samples is interpolated."""

PlannedMixes = tuple[Mapping[str, DeviceSong], list[MixPlan]]
"""Songs, and plans of mixes of them."""


class DeviceDataset:
    """An endless series of mixes of the songs on a device.

    ``at_once`` mixes are made together. A GPU is faster with more, a CPU with one, which stays in its caches. 32 mixes
    of 256 frames take about 8 GB for a moment.
    """

    def __init__(
        self,
        device_songs: DeviceSongs,
        frames: int,
        mix_settings: MixSettings,
        seed: int,
        *,
        held_out: bool = False,
        at_once: int | None = None,
    ) -> None:
        self.device_songs = device_songs
        self.frames = frames
        self.held_out = held_out
        self.at_once = at_once or (32 if device_songs.device.type == "cuda" else 1)
        self._planner = MixPlanner(frames, mix_settings, seed)
        self._song_index = SongIndex({})
        self._songs: Mapping[str, DeviceSong] = {}

    def draw(self, size: int) -> PlannedMixes:
        """The next ``size`` plans. Uses no time of the device.

        Raises:
            LookupError: there is no song yet.
        """
        songs = self.device_songs.held_out if self.held_out else self.device_songs.training
        if songs is not self._songs:
            self._songs, self._song_index = songs, SongIndex(songs)
        return self._songs, [self._planner.draw(self._song_index) for _ in range(size)]

    @torch.no_grad()
    def mix(self, drawn: PlannedMixes) -> Batch:
        """Makes the planned mixes, in their order."""
        songs, plans = drawn
        batch = Batch.empty(len(plans), self.frames, self.device_songs.device)
        for start in range(0, len(plans), self.at_once):
            some = plans[start : start + self.at_once]
            if any(plan.parts for plan in some):
                fill_batch(self.play(songs, some), some, batch.part(start, start + len(some)))
        return batch

    def batch(self, size: int) -> Batch:
        """The next ``size`` mixes."""
        return self.mix(self.draw(size))

    @torch.no_grad()
    def play(self, songs: Mapping[str, DeviceSong], plans: Sequence[MixPlan]) -> Tensor:
        """The parts of all plans, plan by plan, at their level in the mix, ``(parts, 2, samples)``."""
        parts = [part for plan in plans for part in plan.parts]
        audio = self._read(songs, plans)
        for index, part in enumerate(parts):
            if part.pitch_modulation:
                audio[index] = modulate_pitch(audio[index], part.pitch_modulation)
        audio = _apply_matrices(audio, [_part_matrix(part) for part in parts])
        self._drive(audio, parts)
        gains = [(plan, part.gain) for plan in plans for part in plan.parts]
        audio = _apply_matrices(audio, [_matrix(plan.swapped, plan.width, 0.0, gain) for plan, gain in gains])
        peaks = sum_parts(audio, plans).abs().amax((1, 2)).clamp_min(1e-3)  # (plans,)
        levels = self._tensor([plan.peak for plan in plans]) / peaks
        return audio.mul_(levels[self._tensor(plan_numbers(plans))][:, None, None])

    def _read(self, songs: Mapping[str, DeviceSong], plans: Sequence[MixPlan]) -> Tensor:
        """Cuts of the songs, ``(parts, 2, samples)``, from -1 to 1, zeros beyond the end of a song."""
        samples = self._planner.samples
        cuts = [(songs[part.song][part.stem], part.start, part.read) for plan in plans for part in plan.parts]
        starts = self._tensor([[song.offset + start] for song, start, _ in cuts])
        lengths = self._tensor([[min(song.length - start, read)] for song, start, read in cuts])
        audio = torch.empty(len(cuts), samples, 2, device=self.device_songs.device)
        straight = [index for index, (_, _, read) in enumerate(cuts) if read == samples]
        if straight:
            chosen = self._tensor(straight)
            at = torch.arange(samples, device=self.device_songs.device)
            audio[chosen] = self._cut(starts[chosen], lengths[chosen], at)
        stretched = [index for index, (_, _, read) in enumerate(cuts) if read != samples]
        if stretched:
            chosen = self._tensor(stretched)
            speeds = self._tensor([[cuts[index][2] / samples] for index in stretched], torch.float64)
            audio[chosen] = self._between(starts[chosen], lengths[chosen], speeds)
        return audio.transpose(1, 2).contiguous()  # (parts, samples, 2) -> (parts, 2, samples)

    def _cut(self, starts: Tensor, lengths: Tensor, at: Tensor) -> Tensor:
        """Samples at places counted from the starts, ``(n, samples, 2)``; those beyond either end are zero."""
        inside = (at >= 0) & (at < lengths)  # (n, samples)
        # Both channels of a sample are read as one 32-bit number.
        pairs = self.device_songs.samples.view(torch.int32)[:, 0][torch.where(inside, starts + at, 0)]
        return (pairs * inside).unsqueeze(-1).view(torch.int16) * (1 / 32768)

    def _between(self, starts: Tensor, lengths: Tensor, speeds: Tensor) -> Tensor:
        """As ``_cut``, played faster or slower: between samples under a sine cardinal in a Hann window."""
        places = speeds * torch.arange(self._planner.samples, device=self.device_songs.device)  # (n, samples)
        whole = places.floor()
        fraction, at = (places - whole).float(), whole.long()
        total: Tensor | float = 0.0
        weights: Tensor | float = 0.0
        for tap in range(1 - INTERPOLATION_TAPS // 2, 1 + INTERPOLATION_TAPS // 2):
            away = fraction - tap
            weight = torch.sinc(away) * torch.cos(torch.pi / INTERPOLATION_TAPS * away).square()
            total = total + weight[..., None] * self._cut(starts, lengths, at + tap)
            weights = weights + weight
        assert isinstance(total, Tensor) and isinstance(weights, Tensor)
        return total / weights[..., None]

    def _drive(self, audio: Tensor, parts: Sequence[MixPart]) -> None:
        """Clips softly, in place, those parts whose plan says so."""
        driven = [(index, part.drive_db) for index, part in enumerate(parts) if part.drive_db is not None]
        if driven:
            chosen = self._tensor([index for index, _ in driven])
            clean = audio[chosen]
            drives = self._tensor([10 ** (drive_db / 20) for _, drive_db in driven])
            drives = (drives / clean.abs().amax((1, 2)).clamp_min(1e-3))[:, None, None]
            audio[chosen] = (clean * drives).tanh_() / drives

    def _tensor(self, values: Sequence[object], dtype: torch.dtype | None = None) -> Tensor:
        return to_device(values, self.device_songs.device, dtype)


ChannelMatrix = tuple[float, float, float, float]
"""Gains from left to left and right to right, then from right to left and left to right."""


def _part_matrix(part: MixPart) -> ChannelMatrix:
    return _matrix(part.swapped, part.width, part.side_db, 1.0)


def _matrix(swapped: bool, width: float, side_db: float, gain: float) -> ChannelMatrix:
    """The matrix that swaps channels, then changes the width, then pans, then amplifies."""
    stay, other = gain * (1 + width) / 2, gain * (1 - width) / 2
    if swapped:
        stay, other = other, stay
    left, right = 10 ** (side_db / 20), 10 ** (-side_db / 20)
    return left * stay, right * stay, left * other, right * other


def _apply_matrices(audio: Tensor, matrices: Sequence[ChannelMatrix]) -> Tensor:
    """``(parts, 2, samples)``, each part multiplied by its matrix."""
    factors = to_device(matrices, audio.device).reshape(-1, 2, 2, 1)  # (parts, stay or other, 2, 1)
    return audio * factors[:, 0] + audio.flip(1) * factors[:, 1]


class DeviceFeed:
    """Batches of a dataset. One thread draws plans ahead and another looks for new songs; mixes are made when taken.

    A GPU works while the program goes on, so the mixes are made right after the previous step, without a wait.
    """

    def __init__(self, dataset: DeviceDataset, batch: int, refresh_s: float) -> None:
        self._dataset, self._batch, self._refresh_s = dataset, batch, refresh_s
        self._drawn: Prefetcher[PlannedMixes] = Prefetcher(4)
        self._drawn.start([self._draw, self._refresh])

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return self._dataset.mix(next(self._drawn))

    def close(self) -> None:
        """Stops both threads."""
        self._drawn.close()

    def _draw(self) -> None:
        while not self._drawn.stopped.is_set():
            self._drawn.put(self._dataset.draw(self._batch))

    def _refresh(self) -> None:
        while not self._drawn.stopped.wait(self._refresh_s):
            self._dataset.device_songs.refresh()
