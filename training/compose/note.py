"""One note of a song."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """A note: onset, duration, MIDI pitch (60 is middle C) and MIDI velocity (1 to 127)."""

    start_s: float
    duration_s: float
    pitch: int
    velocity: int

    @property
    def end_s(self) -> float:
        """End of the note in seconds."""
        return self.start_s + self.duration_s

    def pitch_within(self, lowest: int, highest: int) -> int:
        """The pitch, moved by octaves into a range of at least one octave."""
        above = 12 * max(0, -(-(lowest - self.pitch) // 12))
        return self.pitch + above - 12 * max(0, -(-(self.pitch - highest) // 12))
