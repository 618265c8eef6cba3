"""REAPER projects: text in blocks of angle brackets (the format of .rpp, as REAPER 6 and 7 read it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = {
    "vocals": 0xE8695C,
    "backing_vocals": 0xF2A88F,
    "drums": 0xE3B341,
    "bass": 0x7C83F2,
    "guitar": 0x3FAE74,
    "keyboard": 0x5BB8E8,
    "strings": 0xB377D9,
    "brass": 0xC58A4A,
    "woodwinds": 0x93CF8A,
    "percussion": 0xE6D17E,
    "synth": 0xE17BBF,
    "instrumental": 0x5BB8E8,
}
"""As in the player."""
OTHER_COLOUR = 0x8D99AE
CUSTOM_COLOUR = 0x1000000
"""The bit that says that a colour was chosen."""


@dataclass(frozen=True)
class ReaperTrack:
    """A track with one file, from the start of the project to the end of the file."""

    name: str
    file: str
    """Beside the project."""


def reaper_project(tracks: Sequence[ReaperTrack], sample_rate: int, n_samples: int) -> bytes:
    """A project with a track for each file, in this order."""
    seconds = f"{n_samples / sample_rate:.12f}"
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0', f"  SAMPLERATE {sample_rate} 1 0"]
    for track in tracks:
        lines += [
            "  <TRACK",
            f"    NAME {_quoted(track.name.replace('_', ' ').capitalize())}",
            f"    PEAKCOL {_colour(track.name)}",
            "    VOLPAN 1 0 -1 -1 1",
            "    NCHAN 2",
            "    <ITEM",
            "      POSITION 0",
            f"      LENGTH {seconds}",
            "      LOOP 0",
            f"      NAME {_quoted(track.file)}",
            "      VOLPAN 1 0 1 -1",
            "      SOFFS 0",
            "      <SOURCE WAVE",
            f"        FILE {_quoted(track.file)}",
            "      >",
            "    >",
            "  >",
        ]
    return "\n".join([*lines, ">", ""]).encode()


def _quoted(text: str) -> str:
    """Text in the first kind of quotes that it does not hold."""
    quote = next((mark for mark in "\"'`" if mark not in text), "`")
    return f"{quote}{text.replace('`', chr(39)) if quote == '`' else text}{quote}"


def _colour(name: str) -> int:
    """Blue, green and red from the highest byte on, as on Windows."""
    rgb = COLOURS.get(name, OTHER_COLOUR)
    return CUSTOM_COLOUR | (rgb & 0xFF) << 16 | rgb & 0xFF00 | rgb >> 16
