"""Names and figures as people read them."""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime

REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the order of those after them round: a name could show as another one. Arabic needs none of them."""


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey: control characters and broken Unicode become ``_``."""
    return "".join(
        "_" if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in REORDERING else char for char in text
    )


def json_text(facts: object, *, indent: int | None = None) -> str:
    """JSON that every reader takes: what is no Unicode in a name becomes U+FFFD; half a pair fails some (RFC 8259, 8.2)."""
    text = json.dumps(facts, ensure_ascii=False)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(json.loads(whole), indent=indent)


def speed(realtime_factor: float) -> str:
    """``17.8 x real time``; a slow one with two figures that count."""
    return f"{realtime_factor:.1f} x real time" if realtime_factor >= 1 else f"{realtime_factor:.2g} x real time"


def clock(seconds: float) -> str:
    """``3:05``, or ``1:02:03`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def decibels(value: float | None) -> str:
    """One decimal; a dash for what has no figure."""
    return "–" if value is None else f"{round(value, 1) + 0.0:.1f}"  # + 0.0 makes -0.0 plain


def megabytes(n_bytes: float) -> str:
    """MB of 10^6 bytes, GB from a thousand of them on."""
    megas = n_bytes / 1e6
    return f"{megas / 1e3:.1f} GB" if megas >= 1e3 else f"{megas:.1f} MB"


def moment(seconds: float | None) -> str:
    """A moment of local time, ``2026-05-01 07:19``; a dash for none."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
