"""Renders solos of recorded instruments: parts of composed songs, ten seconds, dry.

    python -m training.rendering.solos training/solos
    python -m training.recognition training/solos --alone

Without options the held-out instruments play, which never train. A solo is ``<out>/<instrument>-<number>/<stem>.flac``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.compose.song import Part, compose
from training.data import songs
from training.instruments import ensemble, kits, library, sampler
from training.instruments.library import Instrument, InstrumentChoice

DURATION_S = 10.0
FIRST_SEED, LAST_SEED = 50_001, 50_400
LEAST_NOTES = 6
PEAK = 0.5

Audio = NDArray[np.float32]


def stem_of(instrument: Instrument) -> str:
    """The stem that an instrument belongs to."""
    of_sets = {"kit": "drums", "hand-percussion": "percussion"}
    return of_sets.get(instrument.family) or next(
        stem
        for stem, roles in ensemble.FAMILIES.items()
        if any(instrument.family in families for families in roles.values())
    )


def play(instrument: Instrument, part: Part, rng: np.random.Generator) -> Audio | None:
    """A part on an instrument as it was recorded, ``(2, samples)``; None if it does not suit it."""
    if part.stem != stem_of(instrument) or len(part.notes) < LEAST_NOTES:
        return None
    if instrument.family == "kit":
        return kits.play(part.notes, kits.assemble(rng, 0.0, held_out=instrument.held_out), DURATION_S)
    if instrument.family == "hand-percussion":
        if part.role in ("mallets", "timpani"):
            return None
        return kits.hand_percussion(part.notes, DURATION_S, rng, held_out=instrument.held_out)
    if instrument not in ensemble.candidates(part, InstrumentChoice(instrument.held_out)):
        return None
    take = replace(sampler.choose((instrument,), rng), character=0, detune_cents=0.0)
    return sampler.play(part.notes, take, DURATION_S, rng)


def solos(instrument: Instrument, count: int) -> Iterator[Audio]:
    """The first ``count`` solos of an instrument, one of a song; fewer if its parts are rare."""
    found = 0
    for seed in range(FIRST_SEED, LAST_SEED + 1):
        for part in _parts(seed):
            audio = play(instrument, part, np.random.default_rng((seed, 9)))
            if audio is not None and (peak := float(np.abs(audio).max())) > 1e-3:
                yield audio * np.float32(PEAK / peak)
                found += 1
                break
        if found == count:
            return


@lru_cache(maxsize=LAST_SEED - FIRST_SEED + 1)
def _parts(seed: int) -> tuple[Part, ...]:
    return compose(seed, DURATION_S).parts


def main() -> None:
    """Reads the command line and renders."""
    parser = argparse.ArgumentParser(description="Renders solos of recorded instruments.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=3, help="solos of each instrument")
    parser.add_argument("--training", action="store_true", help="instruments that train, in place of held-out ones")
    options = parser.parse_args()
    for instrument in library.instruments(held_out=not options.training):
        if instrument.family == "wavetable" or not library.recordings(instrument):
            print(f"left out: {instrument.name}", flush=True)
            continue
        if options.training and instrument.family in ("kit", "hand-percussion"):
            continue  # kits are assembled from all drums that train
        stem, count = stem_of(instrument), 0
        for count, audio in enumerate(solos(instrument, options.count), 1):
            folder = options.out / f"{instrument.name}-{count - 1}"
            if not folder.exists():
                songs.write_song(folder, {stem: audio})
        print(f"{instrument.name}: {count} solos, {stem}", flush=True)


if __name__ == "__main__":
    main()
