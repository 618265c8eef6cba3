"""Who speaks, before anything is said or sung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class SpeechUnavailableError(RuntimeError):
    """No synthesiser is installed, or one of them gave no sound."""


@dataclass(frozen=True)
class Voice:
    """One speaker of one synthesiser, or of recordings. `name` and `language` are spelled as their source spells them."""

    engine: Literal["espeak-ng", "flite", "festival", "recorded"]
    name: str
    language: str
    female: bool
