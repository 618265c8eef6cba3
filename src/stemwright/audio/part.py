"""What a scan of a file's bytes tells of one of the streams that follow each other in it."""

from __future__ import annotations

from dataclasses import dataclass

from stemwright.audio.pieces import Piece, Span


@dataclass(frozen=True)
class Keep:
    """Which of the decoded samples are sound and not the encoder's padding, in units of 1 / ``timescale`` seconds."""

    start: int
    stop: int | None
    """None: up to the end."""
    timescale: int


@dataclass(frozen=True)
class Length:
    """How long a stream is, in seconds."""

    held_s: float
    """What the bytes of the file can hold at most."""
    claimed_s: float | None = None
    """What the header claims where more was meant to be there; None where it left the length open."""


@dataclass(frozen=True)
class Part:
    """A stream with its own headers. A file has one, or several where files were joined or a stream was chained."""

    pieces: tuple[Piece, ...] | None = None
    """What is decoded; None for the file as it is."""
    demuxer: str | None = None
    """FFmpeg's name of the container; None where it finds out."""
    length: Length | None = None
    """None: what the demuxer says."""
    keep: Keep | None = None
    """None: the demuxer's own trimming."""
    drop_silent_start: int = 0
    """Samples at the start, in units of ``keep``'s timescale, that are padding if they are as good as silent."""
    front_tags: Span | None = None
    """Tags before the header that the demuxer does not see."""
    has_gaps: bool = False
    """Is a part of the stream missing? Then the timestamps say how much."""
    silence_s: float = 0.0
    """Seconds of silence among the pieces, in the place of damaged bytes."""
    notes: tuple[str, ...] = ()
