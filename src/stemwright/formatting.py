"""Formats names and numbers for people to read."""

from __future__ import annotations

import json
import math
import unicodedata
from datetime import datetime

BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode's bidirectional embeddings and isolates: a name could be displayed as another one. Arabic works without them."""

MAX_NAME_CHARACTERS = 24
"""Characters of an unknown name that an error message repeats."""


def printable(text: str) -> str:
    """The text on one line, safe for a terminal: control characters and lone surrogates become ``_``."""
    return "".join(
        "_" if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in BIDI_CONTROLS else char
        for char in text
    )


def short_name(name: str) -> str:
    """A name that somebody gave, for an error message: printable, and cut after 24 characters."""
    return printable(name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}...")


def json_text(facts: object, *, indent: int | None = None) -> str:
    """JSON that every parser accepts: lone surrogates become U+FFFD, since some parsers reject them (RFC 8259, 8.2)."""
    text = json.dumps(facts, ensure_ascii=False)
    valid = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(json.loads(valid), indent=indent)


def speed(realtime_factor: float) -> str:
    """``17.8 x real time``; below 1 with two significant digits."""
    return f"{realtime_factor:.1f} x real time" if realtime_factor >= 1 else f"{realtime_factor:.2g} x real time"


def clock(seconds: float) -> str:
    """``3:05``, or ``1:02:03`` for an hour and more."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def rounded_minutes(minutes: float | None) -> str:
    """``about 3 min`` or ``under a minute``; a dash for None and for infinity."""
    if minutes is None or not math.isfinite(minutes):
        return "–"
    return "under a minute" if minutes < 1 else f"about {minutes:.0f} min"


def decibels(value: float | None) -> str:
    """One decimal; a dash for None."""
    return "–" if value is None else f"{round(value, 1) + 0.0:.1f}"  # + 0.0 turns -0.0 into 0.0


def counted(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def megabytes(n_bytes: float) -> str:
    """MB of 10^6 bytes; GB from 1,000 MB."""
    megas = n_bytes / 1e6
    return f"{megas / 1e3:.1f} GB" if megas >= 1e3 else f"{megas:.1f} MB"


def moment(seconds: float | None) -> str:
    """A Unix time as local time, ``2026-05-01 07:19``; a dash for None."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
