"""The options of one separation, and their validation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stemwright import arguments
from stemwright.arguments import AnyPath
from stemwright.errors import UsageError
from stemwright.stems import Selection, select

Device = Literal["auto", "cpu", "cuda", "mps"]
FormatName = Literal["wav", "flac", "mp3", "m4a", "ogg", "opus", "aiff"]


MAX_SECONDS = 1e9
"""30 years; longer times overflow 64-bit sample counts."""

MAX_THREADS = 1024


@dataclass(frozen=True)
class Options:
    """Options of one song; the defaults are those of the command line.

    Values that convert without loss are converted: numbers of any type or as text, a list of stems, a path as text or
    bytes. Everything else raises at once.

    Attributes:
        stems: ``two``, ``twelve``, or names (those, and ``residual``): separated by commas, or a list.
        out: folder in which the song gets a folder of its own; None takes ``stems``.
        format: ``wav flac mp3 m4a ogg opus aiff``.
        bit_depth: 16, 24 or 32 (float, wav only); None takes the input's, 24 for lossy input.
        bitrate_kbps: constant bit rate of a lossy format; None takes a variable one of high quality.
        start_s: start of the separated section, in seconds.
        duration_s: length of the section; None goes to the end of the song.
        resume: continue from the working files of an interrupted run of the same song with the same options.
        overwrite: replace complete output of an identical earlier run; otherwise it is kept.
        playing: the stems that play in the song, where you know them: separated by commas, or a list; ``vocals`` stands
            for all singing. What the others would get goes to these. None lets the networks decide.

    Raises:
        UsageError: a value is invalid.
    """

    stems: str | Iterable[str] = "two"
    out: AnyPath | None = Path("stems")
    format: FormatName = "wav"
    bit_depth: int | None = None
    bitrate_kbps: int | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    resume: bool = False
    overwrite: bool = False
    playing: str | Iterable[str] | None = None

    def __post_init__(self) -> None:
        """Converts and validates every option; combinations with the format are checked once the song is known."""
        selection = self.selection
        checked: dict[str, object] = {
            "stems": selection.mode,
            "playing": selection.playing,
            "out": self.folder,
            "format": arguments.choice(self.format, "format", get_args(FormatName)),
            "bit_depth": _optional(self.bit_depth, "bit_depth", "bits", 64),
            "bitrate_kbps": _optional(self.bitrate_kbps, "bitrate_kbps", "kbit/s", 1_000_000),
            "start_s": arguments.number(self.start_s, "start_s", "seconds"),
            "duration_s": None
            if self.duration_s is None
            else arguments.number(self.duration_s, "duration_s", "seconds"),
            "resume": arguments.flag(self.resume, "resume"),
            "overwrite": arguments.flag(self.overwrite, "overwrite"),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen
        if not 0 <= self.start_s <= MAX_SECONDS:
            raise UsageError(f"start_s is {self.start_s:g}: give 0 or more seconds.")
        if self.duration_s is not None and not 0 < self.duration_s <= MAX_SECONDS:
            raise UsageError(f"duration_s is {self.duration_s:g}: give more than 0 seconds.")

    @property
    def selection(self) -> Selection:
        """The parts that are asked for, and what is known of the song."""
        return select(self.stems, self.playing)

    @property
    def folder(self) -> Path:
        """``out`` as a path."""
        return Path("stems") if self.out is None else arguments.path(self.out, "out")


def read_device(device: object) -> Device:
    """Parses the name of a device, or a ``torch.device``.

    Raises:
        UsageError: the device is unknown.
    """
    names: tuple[Device, ...] = get_args(Device)
    named = arguments.choice(device, "device", names)
    return next(name for name in names if name == named)


def read_threads(threads: object) -> int | None:
    """Parses a number of threads, or None.

    Raises:
        UsageError: it is not a valid number of threads.
    """
    return _optional(threads, "threads", "threads", MAX_THREADS)


def read_licence(licence: object) -> str | None:
    """Parses ``any``, ``permissive`` or None.

    Raises:
        UsageError: it is something else.
    """
    return None if licence is None else arguments.choice(licence, "licence", ("any", "permissive"))


def read_max_minutes(minutes: object, is_auto: bool) -> float | None:
    """Parses the longest time for a song in minutes, or None.

    Raises:
        UsageError: it is not a positive number, or the plan is not ``auto``, which alone chooses by time.
    """
    if minutes is None:
        return None
    found = arguments.number(minutes, "max_minutes", "minutes")
    if found <= 0:
        raise UsageError(f"max_minutes is {found:g}: give more than 0 minutes.")
    if not is_auto:
        raise UsageError("max_minutes helps the plan auto to choose: leave it out, or leave the plan out.")
    return found


def _optional(value: object, name: str, unit: str, highest: int) -> int | None:
    return None if value is None else arguments.whole(value, name, unit, lowest=1, highest=highest)
