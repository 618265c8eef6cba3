"""What a user may choose for one separation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
FormatName = Literal["wav", "flac", "mp3", "m4a", "ogg", "opus", "aiff"]


@dataclass(frozen=True)
class Options:
    """Choices for one song; the defaults are those of the command line.

    Attributes:
        stems: ``two``, ``twelve``, or names separated by commas (those, and ``residual``).
        out: folder in which the song gets a folder of its own.
        format: ``wav flac mp3 m4a ogg opus aiff``.
        bit_depth: 16, 24 or 32 (float, wav only); None takes the input's, 24 for lossy input.
        bitrate_kbps: constant bit rate of a lossy format; None takes a good variable one.
        start_s: where to begin in the song, in seconds.
        duration_s: how much of it to take; None takes the rest.
        resume: take up the working files of a broken run of the same song with the same options.
        overwrite: make the stems anew where whole output is already there.
    """

    stems: str = "two"
    out: Path = Path("stems")
    format: FormatName = "wav"
    bit_depth: int | None = None
    bitrate_kbps: int | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    resume: bool = False
    overwrite: bool = False
