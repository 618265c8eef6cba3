"""Real multitracks as training songs: cuts MUSDB18-HQ, MoisesDB or other data sets into a corpus of their own.

    python -m training.data.multitracks /path/to/musdb18hq --layout musdb --out training/multitracks
    python -m training.train --corpus training/corpus --corpus training/multitracks ...

A piece is ``<out>/<song>-<number>/<stem>.flac``, 30 s at 44.1 kHz like a composed song; silent stems have no file.
``other`` is labelled as any stem except the song's separate ones; further labels outside the twelve stems are left
out. Of MUSDB18-HQ only the songs in ``train`` are used, never those in ``test``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import StemwrightError
from stemwright.evaluation.layouts import LAYOUTS
from stemwright.evaluation.metric_selection import LayoutName
from stemwright.evaluation.reference_songs import Files, ReferenceSong, blocks_of
from stemwright.stems import SINGING, STEMS
from training.data.songs import SILENCE_PEAK, label_excluding, to_stereo, write_song

PIECE_S = 30
OTHER = "other"

MIN_PIECE_S = 6
"""A shorter end of a song is left out: a mix of 256 frames spans as much."""

Audio = NDArray[np.float32]


def songs(data: Path, layout: LayoutName) -> tuple[ReferenceSong, ...]:
    """The songs of a data set that are for training, each with its stems among the twelve, and others.

    Raises:
        UnreadableInputError: the folder does not have this layout.
    """
    folder = data / "train" if (data / "train").is_dir() else data
    found = LAYOUTS[layout].find_songs(folder)
    named = (replace(song, mix=None, stems=_named(song.stems)) for song in found)
    return tuple(song for song in named if song.stems)


def _named(stems: Mapping[str, Files]) -> dict[str, Files]:
    """Stems by the names of a corpus. If a song has no separate backing vocals, they are part of the vocals."""
    fine = {name: files for name, files in stems.items() if name in STEMS}
    if fine and OTHER in stems:
        fine[label_excluding({*fine, *(SINGING if "vocals" in fine else ())})] = stems[OTHER]
    return fine


def pieces(song: ReferenceSong) -> Iterator[dict[str, Audio]]:
    """Cuts a song: for each piece, ``(2, samples)`` at 44.1 kHz of every stem that is audible in it."""
    for piece in blocks_of(PIECE_S * song.sample_rate, song.blocks()):  # (stems, channels, samples)
        if piece.shape[-1] >= MIN_PIECE_S * song.sample_rate:
            yield _audible(song, piece)


def _audible(song: ReferenceSong, audio: Audio) -> dict[str, Audio]:
    """``(stems, channels, samples)`` -> those that are not silent; mono is duplicated, other channels dropped."""
    audible = {}
    for stem, signal in zip(song.stems, audio, strict=True):
        if float(np.abs(signal).max()) >= SILENCE_PEAK:
            audible[stem] = to_stereo(signal, song.sample_rate)
    return audible


def cut(song: ReferenceSong, out: Path) -> int:
    """Writes the pieces of a song atomically; returns their number. Existing pieces are kept."""
    written = 0
    name = re.sub(r"[\W-]+", "-", song.name).strip("-")
    for number, piece in zip(count(), pieces(song)):
        folder = out / f"{name}-{number:02d}"
        if not piece or folder.exists():
            written += bool(piece)
            continue
        write_song(folder, piece)
        written += 1
    return written


def main() -> None:
    """Reads the command line and cuts."""
    parser = argparse.ArgumentParser(description="Cuts a data set of real multitracks into a training corpus.")
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument(
        "--layout", choices=get_args(LayoutName), help="how it lies on the disk; found out if not named"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "multitracks")
    options = parser.parse_args()
    try:
        found = songs(options.data, options.layout or layout_of(options.data))
        for song in found:
            print(f"{song.name}: {cut(song, options.out)} pieces with {', '.join(song.stems)}", flush=True)
    except StemwrightError as error:
        parser.exit(1, f"{error}\n")
    if not found:
        parser.exit(1, f"No song in {options.data} has a stem that is among the twelve: {', '.join(STEMS)}.\n")


def layout_of(data: Path) -> LayoutName:
    """MUSDB18-HQ has ``train`` and ``mixture.wav``; MoisesDB has a ``data.json`` in each song."""
    if next(data.glob("**/data.json"), None):
        return "moises"
    if next(data.glob("train/*/mixture.*"), None):
        return "musdb"
    return "songs" if next(data.glob("*/drums.*"), None) and not next(data.glob("*/mixture.*"), None) else "msst"


if __name__ == "__main__":
    main()
