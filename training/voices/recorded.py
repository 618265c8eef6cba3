"""Recorded voices: letters, words and sentences from games and lessons in Debian; licences are in SOURCES.md.

Synthesised speech lacks the vocal tract, room and microphone of a recording. Recorded speech is split into syllables
and sung like synthesised speech; sometimes it is played as recorded.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from training.voices.voice import SpeechUnavailableError, Voice

ROOT = Path("/usr/share")
SEPARATOR = "|"
LINE_S, MOST_FILES = 3.5, 8
"""Total duration of a line: recordings are joined, one or more, until they last this long."""

WIDEST_HZ = 48_000
SILENCE_DB = -40.0
"""Level below the peak: softer sound at either end of a recording is trimmed, except for ``MARGIN_S``."""

MARGIN_S = 0.03
PEAK = 0.5


@dataclass(frozen=True)
class Speaker:
    """One speaker, and the recordings as a pattern below ``ROOT``."""

    voice: Voice
    files: str


def _speakers(package: str, files: str, females: str, males: str) -> list[Speaker]:
    return [
        Speaker(Voice("recorded", f"{package}-{language}", language, female), files.format(language=language))
        for female, languages in ((True, females), (False, males))
        for language in languages.split()
    ]


# Sex is set by the median pitch. Languages with sped-up voices, or with few recordings at 8 kHz, are left out.
SPEAKERS = (
    *_speakers(
        "klettres", "klettres/{language}/*/*.ogg", "ar cs en_GB it nb nl ru uk", "da de en es fr he hu lt ml nds"
    ),
    *_speakers("ktuberling", "ktuberling/sounds/{language}/*", "nn ro sr uk", "ca da de el en fr ga lt ru sl wa"),
    *_speakers("fillets-small", "games/fillets-ng/sound/*/{language}/*-m-*.ogg", "cs nl", ""),
    *_speakers("fillets-big", "games/fillets-ng/sound/*/{language}/*-v-*.ogg", "", "cs nl"),
)


@functools.cache
def recordings(voice: Voice) -> tuple[str, ...]:
    """The recordings of a voice, as paths below ``ROOT``."""
    (files,) = (speaker.files for speaker in SPEAKERS if speaker.voice == voice)
    return tuple(sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(files)))


def voices() -> tuple[Voice, ...]:
    """Speakers with installed recordings."""
    return tuple(speaker.voice for speaker in SPEAKERS if recordings(speaker.voice))


def line(voice: Voice, rng: np.random.Generator) -> str:
    """Recordings of a voice that make one line, for `read`: a sentence, or several words or syllables."""
    paths = recordings(voice)
    chosen: list[str] = []
    seconds = 0.0
    while seconds < LINE_S and len(chosen) < MOST_FILES:
        chosen.append(paths[int(rng.integers(len(paths)))])
        seconds += soundfile.info(ROOT / chosen[-1]).duration
    return SEPARATOR.join(chosen)


def read(text: str) -> tuple[NDArray[np.float64], int]:
    """The recordings of a `line`, joined, without the silence around them: `(samples,)`, and their sample rate.

    Raises SpeechUnavailableError if the recordings are silent.
    """
    pieces: list[NDArray[np.float64]] = []
    rate = 0
    for path in text.split(SEPARATOR):
        samples, own = soundfile.read(ROOT / path, dtype="float64", always_2d=True)
        rate = rate or min(own, WIDEST_HZ)
        # (samples, channels) -> (samples,)
        pieces.append(_trimmed(np.asarray(soxr.resample(samples.mean(1), own, rate)), rate))
    spoken = np.concatenate(pieces)
    if len(spoken) < rate // 10:
        raise SpeechUnavailableError(f"the speech of {text} is silent: reinstall the package")
    return spoken, rate


def _trimmed(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """One recording without silence at its ends, with its level normalised; empty if it is silent."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-3:
        return np.zeros(0)
    audible = np.flatnonzero(np.abs(samples) > peak * 10 ** (SILENCE_DB / 20))
    margin = round(MARGIN_S * rate)
    return samples[max(0, int(audible[0]) - margin) : int(audible[-1]) + margin] * (PEAK / peak)
