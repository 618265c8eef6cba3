"""How real recordings differ from composed songs, as constants for the augmentation.

The figures beside them are medians over the recordings of the model card and over composed songs.
"""

from __future__ import annotations

STEM_PROBABILITY = {
    "vocals": 0.7, "backing_vocals": 0.35, "drums": 0.75, "bass": 0.65, "guitar": 0.55, "keyboard": 0.65,
    "strings": 0.3, "brass": 0.25, "woodwinds": 0.25, "percussion": 0.3, "synth": 0.3, "fx": 0.12,
}  # fmt: skip
"""Probability of each stem in a mix of many songs. Effects in a fifth of them, and in a quarter of sparse ones, took 13
to 19 % of the energy of drums, basses, guitars and keyboards in recordings."""

TILT_BIAS_DB_PER_OCTAVE = {
    "vocals": -1.2, "bass": -3.0, "guitar": -2.0, "keyboard": -1.5, "strings": -2.0, "woodwinds": -2.0, "synth": 1.0,
}  # fmt: skip
"""Largest tilt of a stem towards its spectrum in recordings: composed basses have twice the energy of recorded ones
above 160 Hz, and composed vocals and instruments half of theirs below 320 Hz or less."""

TRANSIENT_BIAS = {"drums": (0.7, 0.5, 0.5), "bass": (-0.8, -0.4, 0.0), "keyboard": (0.0, 0.6, 0.6)}
"""Largest change of transients towards those of recordings: below 250 Hz, up to 2.5 kHz, and above.

Recorded kicks decay by 12 dB in 65 ms, composed ones in 85 ms; recorded basses last over 400 ms, composed ones 240 ms:
so a short low sound is a kick. Between 200 Hz and 1 kHz recorded drums are within 12 dB of their maximum for 16 % of
the time (composed: 27 %), keyboards for 66 % (90 %). At 0.35, the mean for drums, composed kicks last as long as
recorded ones.
"""

NARROW_PROBABILITY = {"vocals": 0.6, "drums": 0.5, "bass": 0.3}
"""Probability that a stem is nearly mono. The side signal of recorded vocals is 60 dB below their mid signal, that of
drums 37 dB; for composed ones it is 15 and 7 dB."""

FIXED_PITCH_STEMS = ("drums", "bass")
"""Stems without pitch modulation: a kick glides and a bass does not, which distinguishes the two."""
