"""Another speed and key for the stems of a song."""

from __future__ import annotations

from dataclasses import dataclass

SPEEDS = (0.5, 2.0)
SEMITONES = (-12.0, 12.0)


@dataclass(frozen=True)
class SpeedAndKey:
    """How a song is changed. Speeds are rounded to thousandths and semitones to cents, so that equal ones are found.

    Attributes:
        speed: 0.5 is half as fast; the pitch stays.
        semitones: the transposition; the speed stays.
    """

    speed: float = 1.0
    semitones: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "speed", round(self.speed, 3))
        object.__setattr__(self, "semitones", round(self.semitones, 2) + 0.0)  # no negative zero

    @classmethod
    def from_integers(cls, thousandths: int, cents: int) -> SpeedAndKey:
        """The inverse of ``thousandths`` and ``cents``."""
        return cls(thousandths / 1000, cents / 100)

    @property
    def thousandths(self) -> int:
        """The speed in thousandths."""
        return round(self.speed * 1000)

    @property
    def cents(self) -> int:
        """The transposition in cents."""
        return round(self.semitones * 100)

    @property
    def changes_nothing(self) -> bool:
        """Whether it is the song as it is."""
        return self.speed == 1 and self.semitones == 0

    def length(self, n_samples: int) -> int:
        """Samples of a song of ``n_samples`` after the change."""
        return round(n_samples / self.speed)


ORIGINAL = SpeedAndKey()
