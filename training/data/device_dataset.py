"""Mixes on the fly, many at once and on the device where the songs lie: ``training.data.dataset`` for a GPU.

The same plans give the same mixes; only what plays a stem faster or slower is another interpolation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from training.data.augmentation import Mixing, Part, Plan, Planner, Songbook
from training.data.device_songs import PlacedSong, Pool
from training.data.pitch_modulation import waver
from training.data.prefetch import Ahead
from training.data.spectrogram import Batch, analyse, items_of, mixed, upload

TAPS = 8
"""Samples that a sample between them is made of."""

Drawn = tuple[Mapping[str, PlacedSong], list[Plan]]
"""Songs, and plans of mixes of them."""


class Mixer:
    """Endless mixes of the songs of a pool.

    ``at_once`` mixes are made together; a GPU is the faster for more, a CPU for one, which stays in its caches. 32 mixes
    of 256 frames take some 8 GB for a moment.
    """

    def __init__(
        self,
        pool: Pool,
        frames: int,
        mixing: Mixing,
        seed: int,
        *,
        held_out: bool = False,
        at_once: int | None = None,
    ) -> None:
        self.pool = pool
        self.frames = frames
        self.held_out = held_out
        self.at_once = at_once or (32 if pool.device.type == "cuda" else 1)
        self._planner = Planner(frames, mixing, seed)
        self._book = Songbook({})
        self._songs: Mapping[str, PlacedSong] = {}

    def draw(self, size: int) -> Drawn:
        """The next ``size`` plans. Nothing happens on the device.

        Raises:
            LookupError: there is no song yet.
        """
        songs = self.pool.held_out if self.held_out else self.pool.training
        if songs is not self._songs:
            self._songs, self._book = songs, Songbook(songs)
        return self._songs, [self._planner.draw(self._book) for _ in range(size)]

    @torch.no_grad()
    def mix(self, drawn: Drawn) -> Batch:
        """What was drawn, in the given order."""
        songs, plans = drawn
        batch = Batch.empty(len(plans), self.frames, self.pool.device)
        for start in range(0, len(plans), self.at_once):
            some = plans[start : start + self.at_once]
            if any(plan.parts for plan in some):
                analyse(self.play(songs, some), some, batch.part(start, start + len(some)))
        return batch

    def batch(self, size: int) -> Batch:
        """The next ``size`` mixes."""
        return self.mix(self.draw(size))

    @torch.no_grad()
    def play(self, songs: Mapping[str, PlacedSong], plans: Sequence[Plan]) -> Tensor:
        """The parts of all plans, plan by plan, at their level in the mix, ``(parts, 2, samples)``."""
        parts = [part for plan in plans for part in plan.parts]
        audio = self._read(songs, plans)
        for index, part in enumerate(parts):
            if part.wavering:
                audio[index] = waver(audio[index], part.wavering)
        audio = _turned(audio, [_own_turn(part) for part in parts])
        self._drive(audio, parts)
        gains = [(plan, part.gain) for plan in plans for part in plan.parts]
        audio = _turned(audio, [_turn(plan.swapped, plan.width, 0.0, gain) for plan, gain in gains])
        peaks = mixed(audio, plans).abs().amax((1, 2)).clamp_min(1e-3)  # (plans,)
        levels = self._tensor([plan.peak for plan in plans]) / peaks
        return audio.mul_(levels[self._tensor(items_of(plans))][:, None, None])

    def _read(self, songs: Mapping[str, PlacedSong], plans: Sequence[Plan]) -> Tensor:
        """Cuts of the pool, ``(parts, 2, samples)``, in -1 to 1, zeros beyond the end of a song."""
        samples = self._planner.samples
        cuts = [(songs[part.song][part.stem], part.start, part.read) for plan in plans for part in plan.parts]
        starts = self._tensor([[song.offset + start] for song, start, _ in cuts])
        lengths = self._tensor([[min(song.length - start, read)] for song, start, read in cuts])
        audio = torch.empty(len(cuts), samples, 2, device=self.pool.device)
        straight = [index for index, (_, _, read) in enumerate(cuts) if read == samples]
        if straight:
            chosen = self._tensor(straight)
            at = torch.arange(samples, device=self.pool.device)
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
        pairs = self.pool.samples.view(torch.int32)[:, 0][torch.where(inside, starts + at, 0)]
        return (pairs * inside).unsqueeze(-1).view(torch.int16) * (1 / 32768)

    def _between(self, starts: Tensor, lengths: Tensor, speeds: Tensor) -> Tensor:
        """As ``_cut``, played faster or slower: between samples under a sine cardinal in a Hann window."""
        places = speeds * torch.arange(self._planner.samples, device=self.pool.device)  # (n, samples)
        whole = places.floor()
        fraction, at = (places - whole).float(), whole.long()
        total: Tensor | float = 0.0
        weights: Tensor | float = 0.0
        for tap in range(1 - TAPS // 2, 1 + TAPS // 2):
            away = fraction - tap
            weight = torch.sinc(away) * torch.cos(torch.pi / TAPS * away).square()
            total = total + weight[..., None] * self._cut(starts, lengths, at + tap)
            weights = weights + weight
        assert isinstance(total, Tensor) and isinstance(weights, Tensor)
        return total / weights[..., None]

    def _drive(self, audio: Tensor, parts: Sequence[Part]) -> None:
        """Clips softly, in place, those parts whose plan says so."""
        driven = [(index, part.drive_db) for index, part in enumerate(parts) if part.drive_db is not None]
        if driven:
            chosen = self._tensor([index for index, _ in driven])
            clean = audio[chosen]
            drives = self._tensor([10 ** (drive_db / 20) for _, drive_db in driven])
            drives = (drives / clean.abs().amax((1, 2)).clamp_min(1e-3))[:, None, None]
            audio[chosen] = (clean * drives).tanh_() / drives

    def _tensor(self, values: Sequence[object], dtype: torch.dtype | None = None) -> Tensor:
        return upload(values, self.pool.device, dtype)


Turn = tuple[float, float, float, float]
"""How much left and right stay, and how much of the other each gets."""


def _own_turn(part: Part) -> Turn:
    return _turn(part.swapped, part.width, part.side_db, 1.0)


def _turn(swapped: bool, width: float, side_db: float, gain: float) -> Turn:
    """Swaps, then widens, then moves to a side, then amplifies."""
    stay, other = gain * (1 + width) / 2, gain * (1 - width) / 2
    if swapped:
        stay, other = other, stay
    left, right = 10 ** (side_db / 20), 10 ** (-side_db / 20)
    return left * stay, right * stay, left * other, right * other


def _turned(audio: Tensor, turns: Sequence[Turn]) -> Tensor:
    """``(parts, 2, samples)`` turned as each part says."""
    factors = upload(turns, audio.device).reshape(-1, 2, 2, 1)  # (parts, stay or other, 2, 1)
    return audio * factors[:, 0] + audio.flip(1) * factors[:, 1]


class Feed:
    """Batches of a mixer. One thread draws them ahead, another looks for new songs; they are mixed when taken.

    A GPU works while its program goes on, so that mixes are made behind the step before.
    """

    def __init__(self, mixer: Mixer, batch: int, refresh_s: float) -> None:
        self._mixer, self._batch, self._refresh_s = mixer, batch, refresh_s
        self._drawn: Ahead[Drawn] = Ahead(4)
        self._drawn.start([self._draw, self._refresh])

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return self._mixer.mix(next(self._drawn))

    def close(self) -> None:
        """Ends both threads."""
        self._drawn.close()

    def _draw(self) -> None:
        while not self._drawn.ended.is_set():
            self._drawn.put(self._mixer.draw(self._batch))

    def _refresh(self) -> None:
        while not self._drawn.ended.wait(self._refresh_s):
            self._mixer.pool.refresh()
