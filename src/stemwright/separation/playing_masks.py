"""Masks of a song whose stems are known: those that do not play get nothing, and what they had goes to the others.

A network takes a quiet guitar for a bit of keyboard, strings and synth. Where it is known that of these only a guitar
plays, that sound is the guitar's. So the shares of absent accompaniment go to the accompaniment that plays; voices, drums
and basses, which a network tells apart from it, keep theirs. Dividing the shares among all stems that play would cost
them more than the accompaniment gains (docs/training-log.md, "Known stems").
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from stemwright.models.engine import MaskEngine
from stemwright.separation.stft import Spectrum
from stemwright.stems import SINGING, STEMS

Samples = NDArray[np.float32]

ACCOMPANIMENT = tuple(stem for stem in STEMS if stem not in (*SINGING, "drums", "bass"))
"""The stems that networks confuse with each other."""

FLOOR = np.float32(1e-9)
"""Added to the masks of stems that play, so that they share a point which the network gives wholly to absent ones."""


class PlayingMasks:
    """A mask engine with masks of zero for stems that do not play.

    Args:
        engine: gives the masks.
        playing: the stems that play in the song.
    """

    def __init__(self, engine: MaskEngine, playing: tuple[str, ...]) -> None:
        self._engine = engine
        self._playing = playing
        self.name = engine.name
        self.stems = engine.stems
        self.sample_rate = engine.sample_rate
        self.chunk = engine.chunk
        self.bands = engine.bands
        self.hop = engine.hop

    def masks(self, spectrum: Spectrum) -> Samples:
        """``(frames, 2, bins)`` -> ``(frames, stems, 2, bands)``, non-negative, summing to one over the stems."""
        masks = self._engine.masks(spectrum).copy()  # an engine of the user's may keep its own
        silence_absent(masks, self.stems, self._playing)
        return masks


def silence_absent(masks: Samples, stems: Sequence[str], playing: Collection[str]) -> None:
    """Sets the masks of stems that do not play to zero, and gives their shares to those that do, in place.

    Args:
        masks: ``(frames, stems, channels, bands)``.
        stems: names of the masks.
        playing: the stems that play. If there is a mask for none of them, the masks stay as they are.
    """
    plays = np.array([stem in playing for stem in stems])
    accompanies = np.array([stem in ACCOMPANIMENT for stem in stems])
    if not plays.any() or plays.all():
        return
    if (accompanies & plays).any():
        _give(masks, plays, accompanies)
        _give(masks, plays, plays | ~accompanies)  # absent accompaniment has nothing left
    else:
        _give(masks, plays, np.ones_like(plays))


def _give(masks: Samples, plays: NDArray[np.bool_], group: NDArray[np.bool_]) -> None:
    """Gives the shares of absent stems of a group to those of the group that play, in proportion, in place."""
    playing, absent = group & plays, group & ~plays
    if not playing.any() or not absent.any():
        return
    whole = masks[:, group].sum(axis=1, keepdims=True)
    kept = masks[:, playing] + FLOOR
    masks[:, playing] = kept * (whole / kept.sum(axis=1, keepdims=True))
    masks[:, absent] = 0
