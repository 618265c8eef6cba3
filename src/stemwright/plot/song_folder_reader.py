"""Reads the stems of a song folder for plotting."""

from __future__ import annotations

import json
from pathlib import Path

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.comparisons import ESTIMATES, UNLABELLED
from stemwright.plot.stem_picture import StemPlot
from stemwright.plot.waveform_summary import summary
from stemwright.separation.result import Result
from stemwright.separation.song_folder import RECORD
from stemwright.sound_files import is_sound_file

ORDER = ("vocals", "instrumental", *ESTIMATES[1:], UNLABELLED)
"""Stems are in the order of the vocabulary, followed by other files by name."""


def read_stem_plots(folder: Path) -> list[StemPlot]:
    """One plot per audio file. Presence is taken from the record of the separation, if there is one.

    Raises:
        UnreadableInputError: the folder has no audio files, or one cannot be read.
    """
    from stemwright.audio.decode import Decoder

    if not folder.is_dir():
        raise UnreadableInputError(f"'{folder}' is not a folder; name the folder of one song's stems.")
    try:
        files = sorted((path for path in folder.iterdir() if is_sound_file(path)), key=_sort_key)
    except OSError as error:
        raise UnreadableInputError(
            f"'{folder}' cannot be listed ({error.strerror}); change its permissions."
        ) from error
    if not files:
        raise UnreadableInputError(f"'{folder}' contains no audio files; give the folder of one song's stems.")
    known = {stem.path.name: stem for stem in record.stems} if (record := _record(folder)) else {}
    stem_plots = []
    for file in files:
        with Decoder(file) as decoder:
            shape = summary(decoder, decoder.format.sample_rate)
        stem = known.get(file.name)
        stem_plots.append(
            StemPlot(file.stem, shape, stem is None or stem.present, None if stem is None else stem.presence)
        )
    return stem_plots


def _sort_key(path: Path) -> tuple[int, str]:
    return (ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.name)


def _record(folder: Path) -> Result | None:
    try:
        return Result.from_dict(json.loads((folder / RECORD).read_text())["result"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
