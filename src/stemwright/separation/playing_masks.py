"""Masks of a song whose stems are known: those that do not play get nothing, and what they had goes to the others.

A network takes a quiet guitar for a bit of keyboard, strings and synth. Where it is known that of these only a guitar
plays, that sound is the guitar's. So the shares of absent accompaniment go to the accompaniment that plays; voices, drums
and basses, which a network tells apart from it, keep theirs. Dividing the shares among all stems that play would cost
them more than the accompaniment gains (docs/training-log.md, "Known stems").
"""

from __future__ import annotations

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
        playing: the stems that play in the song. If the engine gives none of them, its masks stay as they are.
    """

    def __init__(self, engine: MaskEngine, playing: tuple[str, ...]) -> None:
        self._engine = engine
        self._plays = np.array([stem in playing for stem in engine.stems])
        accompanies = np.array([stem in ACCOMPANIMENT for stem in engine.stems])
        everything = np.ones_like(accompanies)
        # Each divides the shares of its absent stems among those of its stems that play.
        self._groups = (accompanies, self._plays | ~accompanies) if (accompanies & self._plays).any() else (everything,)
        self.name = engine.name
        self.stems = engine.stems
        self.sample_rate = engine.sample_rate
        self.chunk = engine.chunk
        self.bands = engine.bands
        self.hop = engine.hop

    def masks(self, spectrum: Spectrum) -> Samples:
        """``(frames, 2, bins)`` -> ``(frames, stems, 2, bands)``, non-negative, summing to one over the stems."""
        masks = self._engine.masks(spectrum)
        if self._plays.any() and not self._plays.all():
            for group in self._groups:
                self._give(masks, group)
        return masks

    def _give(self, masks: Samples, group: NDArray[np.bool_]) -> None:
        """Gives the shares of absent stems of a group to those of the group that play, in proportion, in place."""
        playing, absent = group & self._plays, group & ~self._plays
        if not playing.any() or not absent.any():
            return
        whole = masks[:, group].sum(axis=1, keepdims=True)
        kept = masks[:, playing] + FLOOR
        masks[:, playing] = kept * (whole / kept.sum(axis=1, keepdims=True))
        masks[:, absent] = 0
