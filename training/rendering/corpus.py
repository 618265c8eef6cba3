"""The training corpus: renders composed songs into folders of one FLAC a stem.

    python -m training.rendering.corpus --first 0 --count 150 --workers 2
    python -m training.rendering.corpus --first 0 --count 150 --workers 2 --only vocals

The second command adds singing to the songs that the first has rendered. It takes longer than all the rest. A song is
``<out>/<genre>-<seed>/``: ``<stem>.flac`` for every stem that is not silent (44.1 kHz, stereo, 16 bits, 30 s), and
``song.json`` with the notes of the vocals, so that a song gets matching vocals even if the composer code has changed.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.stems import SINGING, STEMS
from training.compose.note import Note
from training.compose.song import DURATION_S, Song, compose
from training.data import songs
from training.instruments import players, soundfont
from training.instruments.library import TRAINING, InstrumentChoice
from training.rendering import effects, studio

SAMPLE_RATE_HZ = 44100
DEFAULT_FOLDER = Path(__file__).parents[1] / "corpus"


def main() -> None:
    """Reads the command line and renders."""
    parser = argparse.ArgumentParser(description="Renders the training corpus.")
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--first", type=int, default=0, help="seed of the first song")
    parser.add_argument("--count", type=int, default=150, help="how many songs")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--only", choices=("vocals",), help="add singing to songs that are there")
    parser.add_argument(
        "--recorded", type=float, default=InstrumentChoice.share, help="share of parts that recorded instruments play"
    )
    parser.add_argument(
        "--held-out", action="store_true", help="only recorded instruments that never train: to measure with"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.only == "vocals":
        job = partial(add_singing, options.out)
    else:
        soundfont.preload()
        choice = (
            InstrumentChoice(held_out=True, share=1.0) if options.held_out else InstrumentChoice(share=options.recorded)
        )
        job = partial(render_song, options.out, choice=choice)
    for line in _run(job, range(options.first, options.first + options.count), options.workers):
        print(line, flush=True)


def _run(job: "partial[str]", seeds: Iterable[int], workers: int) -> Iterable[str]:
    if workers < 2:
        yield from map(job, seeds)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        yield from pool.map(job, seeds)


def find_song(out: Path, seed: int) -> Path | None:
    """The folder of a rendered song, or None."""
    return next(iter(out.glob(f"*-{seed:06d}")), None)


def render_song(out: Path, seed: int, choice: InstrumentChoice = TRAINING) -> str:
    """Composes and renders one song without vocals, unless it exists already; returns a line about it."""
    there = find_song(out, seed)
    if there is not None:
        return f"{there.name} is there"
    begun = time.monotonic()
    song = compose(seed)
    name = f"{song.genre}-{seed:06d}"
    unfinished = out / f".{name}-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    written = [stem for stem, audio in render(song, choice) if _write(unfinished / f"{stem}.flac", audio)]
    (unfinished / "song.json").write_text(json.dumps(_describe(song)))
    unfinished.rename(out / name)
    return f"{name}: {' '.join(written)} in {time.monotonic() - begun:.1f} s"


def render(song: Song, choice: InstrumentChoice = TRAINING) -> Iterable[tuple[str, NDArray[np.float32]]]:
    """Renders the stems of a song except vocals; yields each with its audio ``(2, samples)``."""
    beat_s = song.plan.clock.beat_s
    for index, stem in enumerate(STEMS):
        parts = [part for part in song.parts if part.stem == stem]
        if parts and stem not in SINGING:
            yield (
                stem,
                players.render(
                    stem, parts, beat_s, song.plan.duration_s, np.random.default_rng((song.seed, 1, index)), choice
                ),
            )


def add_singing(out: Path, seed: int) -> str:
    """Adds singing to a rendered song; returns a line about it."""
    from training.voices.singer import sing  # the vocoder is needed for singing only

    folder = find_song(out, seed)
    if folder is None:
        return f"song {seed} is not rendered yet"
    begun = time.monotonic()
    description = json.loads((folder / "song.json").read_text())
    added = []
    for index, stem in enumerate(SINGING):
        target = folder / f"{stem}.flac"
        lines = [[Note(*values) for values in part["notes"]] for part in description["singing"].get(stem, ())]
        if target.exists() or not lines:
            continue
        rng = np.random.default_rng((seed, 2, index))
        audio = np.zeros((2, round(DURATION_S * SAMPLE_RATE_HZ)), np.float32)
        for notes in lines:
            audio += _fit(sing(notes, DURATION_S, rng, stem == "backing_vocals"), audio.shape[1])
        produced = studio.process(stem, audio, 60 / description["bpm"], float(rng.choice((0.05, 0.15, 0.3))), rng)
        levelled = effects.level(produced, studio.LEVELS_DB[stem] + float(rng.normal(0, 2.5)))
        unfinished = folder / f".{stem}-{os.getpid()}.flac"
        if _write(unfinished, levelled):
            unfinished.rename(target)
            added.append(stem)
    return f"{folder.name}: {' '.join(added) or 'nothing to sing'} in {time.monotonic() - begun:.1f} s"


def _fit(audio: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))


def _describe(song: Song) -> dict[str, object]:
    singing: dict[str, list[dict[str, object]]] = {}
    for part in song.parts:
        if part.stem in SINGING:
            notes = [list(asdict(note).values()) for note in part.notes]
            singing.setdefault(part.stem, []).append({"role": part.role, "notes": notes})
    roles = [[part.stem, part.role] for part in song.parts]
    return {"seed": song.seed, "genre": song.genre, "bpm": song.plan.clock.bpm, "parts": roles, "singing": singing}


def _write(path: Path, audio: NDArray[np.float32]) -> bool:
    if float(np.abs(audio).max()) < songs.SILENCE_PEAK:
        return False
    songs.write_flac(path, audio)
    return True


if __name__ == "__main__":
    main()
