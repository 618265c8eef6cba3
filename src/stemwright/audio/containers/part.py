"""One of the consecutive streams of a file: its bytes, length and padding."""

from __future__ import annotations

from dataclasses import dataclass

from stemwright.audio.containers.pieces import Piece, Span


@dataclass(frozen=True)
class Keep:
    """The decoded samples that are not the encoder's padding, in units of 1 / ``timescale`` seconds."""

    start: int
    stop: int | None
    """None: up to the end."""
    timescale: int


@dataclass(frozen=True)
class Length:
    """How long a stream is, in seconds."""

    held_s: float
    """The longest that the bytes of the file can be."""
    claimed_s: float | None = None
    """The length by the header, if the file should be longer than it is; else None."""


@dataclass(frozen=True)
class Part:
    """A stream with its own headers. A file has one, or several where files were joined or a stream was chained."""

    pieces: tuple[Piece, ...] | None = None
    """The bytes to decode; None for the whole file."""
    demuxer: str | None = None
    """FFmpeg's name of the container; None: FFmpeg detects it."""
    length: Length | None = None
    """None: the demuxer's length is used."""
    keep: Keep | None = None
    """None: the demuxer's own trimming is used."""
    drop_silent_start: int = 0
    """Samples at the start, in units of ``keep``'s timescale, that are padding if they are nearly silent."""
    front_tags: Span | None = None
    """Tags before the header, which the demuxer does not get."""
    has_gaps: bool = False
    """Whether parts of the stream are missing; timestamps then give their length."""
    silence_s: float = 0.0
    """Seconds of silence among the pieces, which replace damaged bytes."""
    notes: tuple[str, ...] = ()
