"""MUSDB18-HQ: ``test/<song>/{mixture,vocals,drums,bass,other}.wav`` (Rafii et al., Zenodo 3338373)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stemwright.errors import UnreadableInputError
from stemwright.evaluation import msst_layout
from stemwright.evaluation.dataset_labels import MIXTURE
from stemwright.evaluation.reference_songs import ReferenceSong

TARGETS = ("vocals", "drums", "bass", "other")
"""The four stems of every song."""


def find_songs(folder: Path) -> tuple[ReferenceSong, ...]:
    """Reads the test songs of the data set, or any folder of its songs, or the folder of one song.

    Raises:
        UnreadableInputError: the folder has another layout, or a file is missing.
    """
    songs = msst_layout.find_songs(folder / "test" if (folder / "test").is_dir() else folder)
    for song in songs:
        missing = [name for name in (MIXTURE, *TARGETS) if name not in song.stems and (name != MIXTURE or not song.mix)]
        if missing:
            raise UnreadableInputError(
                f"'{song.name}' has no {missing[0]}.wav. A song of MUSDB18-HQ holds mixture.wav and "
                f"{', '.join(f'{target}.wav' for target in TARGETS)}; --layout msst reads other sets."
            )
    return tuple(replace(song, joint_frames=True) for song in songs)
