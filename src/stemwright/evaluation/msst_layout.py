"""Validation folders of Music-Source-Separation-Training: ``<song>/{mixture,<label>}.wav``, with any labels."""

from __future__ import annotations

from pathlib import Path

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.dataset_labels import (
    COARSE,
    INSTRUMENTAL_STEMS,
    MIXTURE,
    files_by_stem,
    stems_of_coarse_labels,
)
from stemwright.evaluation.reference_songs import ReferenceSong, song_folders, sound_files, sound_format


def find_songs(folder: Path) -> tuple[ReferenceSong, ...]:
    """Reads a folder of songs, or the folder of one song.

    Without a file ``mixture`` the mix is the sum of all files. ``instrumental`` is ignored if there are other labels
    besides vocals, since it is their sum.

    Raises:
        UnreadableInputError: the folder has another layout, or a label is unknown.
    """
    return tuple(_read_song(path) for path in song_folders(folder, "<song>/mixture.wav, <song>/<label>.wav, ..."))


def _read_song(folder: Path) -> ReferenceSong:
    files = files_by_stem(sound_files(folder))
    mix = files.pop(MIXTURE, None)
    if "instrumental" in files and any(
        name in (*INSTRUMENTAL_STEMS, *COARSE, "other") for name in files if name != "instrumental"
    ):
        del files["instrumental"]
    if not files or isinstance(mix, tuple):
        raise UnreadableInputError(
            f"'{folder}' contains no true stems. Put them beside the mixture, one file a label: vocals.wav, drums.wav, ..."
        )
    coarse = stems_of_coarse_labels(files)
    if coarse.get("other") == ():
        raise UnreadableInputError(
            f"'{folder}' has files for all twelve stems and one named other. Name that one after what it holds."
        )
    first = next(iter(files.values()))
    sample_rate, channels = sound_format(first if isinstance(first, Path) else first[0])
    return ReferenceSong(folder.resolve().name, files, sample_rate, channels, mix, coarse)
