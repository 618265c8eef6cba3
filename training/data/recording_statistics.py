"""How recordings are played and mixed, as far as mixes of composed songs have to be told.

The figures beside them are medians over the recordings of the model card and over composed songs.
"""

from __future__ import annotations

OFTEN = {
    "vocals": 0.7, "backing_vocals": 0.35, "drums": 0.75, "bass": 0.65, "guitar": 0.55, "keyboard": 0.65,
    "strings": 0.3, "brass": 0.25, "woodwinds": 0.25, "percussion": 0.3, "synth": 0.3, "fx": 0.12,
}  # fmt: skip
"""How often each stem plays in a mix of many songs. Effects in a fifth of them, and in a quarter of sparse ones, took 13 to
19 % of the energy of drums, basses, guitars and keyboards in recordings."""

LEAN_DB_PER_OCTAVE = {
    "vocals": -1.2, "bass": -3.0, "guitar": -2.0, "keyboard": -1.5, "strings": -2.0, "woodwinds": -2.0, "synth": 1.0,
}  # fmt: skip
"""The furthest that an equaliser leans a stem towards what it is in recordings: composed basses hold twice the energy
of recorded ones above 160 Hz, and composed voices and instruments half of theirs below 320 Hz or less."""

LEAN_SHAPING = {"drums": (0.7, 0.5, 0.5), "bass": (-0.8, -0.4, 0.0), "keyboard": (0.0, 0.6, 0.6)}
"""The furthest that strokes lean towards recordings below 250 Hz, up to 2.5 kHz and above.

Recorded kicks are 12 dB down after 65 ms, composed ones after 85, and recorded basses last over 400 ms, composed ones 240:
what is short and low is a kick. Between 200 Hz and 1 kHz recorded drums are within 12 dB of their loudest for 16 % of the
time (composed: 27 %), keyboards for 66 % (90 %). At 0.35, the mean of what drums get, composed kicks last as long as
recorded ones.
"""

OFTEN_NARROW = {"vocals": 0.6, "drums": 0.5, "bass": 0.3}
"""How often a stem is nearly mono. The sides of recorded voices lie 60 dB under their middle, those of drums 37 dB; of
composed ones 15 and 7."""

STEADY = ("drums", "bass")
"""Stems whose pitch moves only as it was played: a kick glides and a bass does not, which tells one from the other."""
