"""Voices: a speaker and the source of the speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class SpeechUnavailableError(RuntimeError):
    """No speech synthesiser is installed, or one of them gave no sound."""


@dataclass(frozen=True)
class Voice:
    """A speaker of a synthesiser or of recordings. `name` and `language` are spelled as in that source."""

    engine: Literal["espeak-ng", "flite", "festival", "recorded"]
    name: str
    language: str
    female: bool
