"""Evaluates folders of songs: mixes the true stems, separates the mix, and scores the estimates."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stemwright import arguments
from stemwright.arguments import AnyPath
from stemwright.errors import storage_error
from stemwright.evaluation.layouts import LAYOUTS, Layout
from stemwright.evaluation.metric_selection import LayoutName, read_metrics
from stemwright.evaluation.reference_songs import ReferenceSong
from stemwright.evaluation.report import Report, summarise
from stemwright.evaluation.scores import SongScores, score_song
from stemwright.separation.options import Device, Options

if TYPE_CHECKING:
    from stemwright.separation.separator import Separator

OnSong = Callable[[int, int, str], None]
"""Called before each song with its index from 0, the number of songs, and its name."""


def evaluate_estimates(
    references: AnyPath,
    estimates: AnyPath,
    *,
    layout: LayoutName = "songs",
    metrics: str | Iterable[str] = (),
    confusion: bool = False,
    on_song: OnSong | None = None,
) -> Report:
    """Scores the stems of any separator.

    Args:
        references: ``<song>/<stem>.<ext>``, or the folder of one song, or a folder in ``layout``.
        estimates: ``<song>/<stem>.<ext>`` of the same songs.
        layout: layout of the references.
        metrics: metrics besides the SDR, names of ``METRICS``: separated by commas, or a list.
        confusion: whether to compute the confusion matrix.
        on_song: called before each song.

    Raises:
        UsageError: an argument is invalid.
        UnreadableInputError: a folder has another layout, or files of a song differ in rate, channels or length.
    """
    chosen, chosen_metrics = _layout(layout), _metrics(metrics)
    arguments.function(on_song, "on_song")
    folder = arguments.path(estimates, "estimates")
    songs = chosen.find_songs(arguments.path(references, "references"))
    # reports a song without estimates before the first song is scored
    found = [(song, chosen.find_estimates(folder, song, is_only_song=len(songs) == 1)) for song in songs]
    scores = []
    for index, (song, files) in enumerate(found):
        if on_song is not None:
            on_song(index, len(songs), song.name)
        scores.append(score_song(song, files, confusion=confusion, metrics=chosen_metrics))
    return summarise(scores, None, chosen_metrics)


def evaluate_plan(
    references: AnyPath,
    plan: str | Separator = "auto",
    *,
    layout: LayoutName = "songs",
    device: Device = "auto",
    threads: int | None = None,
    metrics: str | Iterable[str] = (),
    confusion: bool = False,
    known_stems: bool = False,
    on_song: OnSong | None = None,
) -> Report:
    """Separates the mix of each song into twelve stems and scores them. Without a mix file the true stems are summed.

    Mix and estimates are 32-bit float files in a temporary folder, one song at a time: 13 files of the song's length.

    Args:
        references: ``<song>/<stem>.<ext>``, or the folder of one song, or a folder in ``layout``.
        plan: name of a plan, or a separator.
        layout: layout of the references.
        device: see ``Separator``.
        threads: see ``Separator``.
        metrics: metrics besides the SDR, names of ``METRICS``: separated by commas, or a list.
        confusion: whether to compute the confusion matrix.
        known_stems: whether the separator is told which stems play (``Options.playing``), where all stems of a song are
            labelled. Presence then says nothing.
        on_song: called before each song.

    Raises:
        UsageError: an argument is invalid.
        UnreadableInputError: the folder has another layout, or files of a song differ in rate, channels or length.
        ModelUnavailableError: the plan is not available.
        StorageError: not enough disk space for temporary files.
    """
    from stemwright.separation.separator import Separator

    chosen_metrics = _metrics(metrics)
    arguments.function(on_song, "on_song")
    is_told = arguments.flag(known_stems, "known_stems")
    songs = _layout(layout).find_songs(arguments.path(references, "references"))
    separator = plan if isinstance(plan, Separator) else Separator(plan, device=device, threads=threads)
    scores = []
    for index, song in enumerate(songs):
        if on_song is not None:
            on_song(index, len(songs), song.name)
        playing = song.playing if is_told else None
        scores.append(_score_separation(song, separator, chosen_metrics, playing, confusion=confusion))
    return summarise(scores, separator.plan_name("twelve"), chosen_metrics)


def _layout(layout: object) -> Layout:
    named = arguments.choice(layout, "layout", LAYOUTS)
    return next(found for name, found in LAYOUTS.items() if name == named)


def _metrics(metrics: object) -> tuple[str, ...]:
    named = arguments.words(metrics, "metrics")
    return read_metrics(",".join(named)) if named else ()


def _score_separation(
    song: ReferenceSong,
    separator: Separator,
    metrics: tuple[str, ...],
    playing: tuple[str, ...] | None,
    *,
    confusion: bool,
) -> SongScores:
    with tempfile.TemporaryDirectory(prefix="stemwright-evaluate-") as folder:
        mix = song.mix
        if mix is None:
            mix = Path(folder) / "mix.wav"
            _write_mix(song, mix)
        options = Options(stems="twelve", out=Path(folder), format="wav", bit_depth=32, playing=playing)
        result = separator.separate_file(mix, options)
        return score_song(
            song,
            {stem.name: stem.path for stem in result.stems},
            gain_db=result.gain_db,
            presence={stem.name: stem.presence for stem in result.stems},
            confusion=confusion,
            metrics=metrics,
        )


def _write_mix(song: ReferenceSong, path: Path) -> None:
    """Writes the float sum of the true stems, which may exceed full scale."""
    import soundfile

    try:
        with soundfile.SoundFile(path, "w", song.sample_rate, song.channels, "FLOAT") as file:
            for block in _mixed(song):
                file.write(block)
    except (OSError, soundfile.LibsndfileError) as error:
        raise storage_error(error if isinstance(error, OSError) else OSError(str(error)), path) from error


def _mixed(song: ReferenceSong) -> Iterator[NDArray[np.float32]]:
    for block in song.blocks():  # (stems, channels, samples)
        yield block.sum(axis=0, dtype=np.float64).astype(np.float32).T  # (samples, channels)
