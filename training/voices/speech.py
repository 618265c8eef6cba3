"""Speech from free synthesisers and recordings in Debian; their licences are in SOURCES.md."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from training.voices import recorded
from training.voices.voice import SpeechUnavailableError, Voice

ESPEAK_LANGUAGES = (
    "en-us en-gb en-gb-scotland en-gb-x-rp en-029 es es-419 it pt pt-br fr-fr de ja ru nl sv nb da fi"
    " et lv lt pl cs sk sl hr hu ro ca eu cy ga tr id ms sw eo la sq is af mt gl haw mi"
)
# Variants with a natural voice; robot, demon and comic voices are left out.
ESPEAK_FEMALE = "f1 f2 f3 f4 f5 Alicia Andrea Annie anika aunty belinda grandma linda shelby steph steph2 steph3 klatt5"
ESPEAK_MALE = (
    "m1 m2 m3 m4 m5 m6 m7 m8 Alex Andy Denis Diogo Gene Gene2 Henrique Hugo Lee Marco Mario Michael Mike Nguyen"
    " adam antonio benjamin boris caleb david ed edward edward2 grandpa gustave iven iven2 iven3 john klatt klatt2"
    " klatt3 klatt4 klatt6 marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro travis"
    " victor zac"
)


@dataclass(frozen=True)
class FestivalSpeaker:
    """A festival voice package: its path and its text encoding."""

    voice: Voice
    folder: str
    encoding: str


def _festival(name: str, folder: str, language: str, female: bool, encoding: str = "iso8859-15") -> FestivalSpeaker:
    return FestivalSpeaker(Voice("festival", name, language, female), f"{folder}/{name}", encoding)


FESTIVAL_FOLDER = Path("/usr/share/festival/voices")
FESTIVAL = (
    _festival("kal_diphone", "english", "en-us", False),
    _festival("ked_diphone", "english", "en-us", False),
    _festival("cmu_us_slt_arctic_hts", "us", "en-us", True),
    _festival("upc_ca_ona_hts", "catalan", "ca", True),
    _festival("czech_dita", "czech", "cs", True, "iso8859-2"),
    _festival("czech_machac", "czech", "cs", False, "iso8859-2"),
    _festival("czech_ph", "czech", "cs", False, "iso8859-2"),
    _festival("hy_fi_mv_diphone", "finnish", "fi", False),
    _festival("suo_fi_lj_diphone", "finnish", "fi", True),
    _festival("lp_diphone", "italian", "it", True),
    _festival("pc_diphone", "italian", "it", False),
    _festival("msu_ru_nsh_clunits", "russian", "ru", False, "utf-8"),
)


@functools.cache
def catalogue() -> tuple[Voice, ...]:
    """All installed voices with a suitable licence.

    Raises SpeechUnavailableError if no voice is installed.
    """
    voices: list[Voice] = []
    if shutil.which("espeak-ng"):
        spoken = {row.split()[1] for row in _output(["espeak-ng", "--voices"]).splitlines()[1:]}
        for index, language in enumerate(tag for tag in ESPEAK_LANGUAGES.split() if tag in spoken):
            # English gets every variant, other languages a few each: with 48 x 75 voices the cache would never be hit.
            for female, names in ((True, ESPEAK_FEMALE.split()), (False, ESPEAK_MALE.split())):
                chosen = names if language == "en-us" else [names[(index * 5 + k * 7) % len(names)] for k in range(2)]
                voices += [Voice("espeak-ng", name, language, female) for name in chosen]
    if shutil.which("flite"):
        voices += [Voice("flite", name, "en-us", name == "slt") for name in ("slt", "rms", "awb", "kal16")]
    if shutil.which("text2wave"):
        voices += [speaker.voice for speaker in FESTIVAL if Path(FESTIVAL_FOLDER, speaker.folder).is_dir()]
    voices += recorded.voices()
    if not voices:
        raise SpeechUnavailableError("no speech synthesiser found: apt-get install espeak-ng flite festival")
    return tuple(voices)


def draw_voice(rng: np.random.Generator, female: bool) -> Voice:
    """Draws a voice: half of them recorded, a quarter from flite or festival, whose voices are made from recordings."""
    voices = [voice for voice in catalogue() if voice.female == female]
    people = [voice for voice in voices if voice.engine == "recorded"]
    cut = [voice for voice in voices if voice.engine in ("flite", "festival")]
    if people and rng.random() < 0.5:
        voices = people
    elif cut and rng.random() < 0.5:
        voices = cut
    return voices[rng.integers(len(voices))]


def speak(voice: Voice, text: str, speed: float = 1.0) -> tuple[NDArray[np.float64], int]:
    """Speech `(samples,)` and its sample rate. `speed` 1 is slow and clear, for singing; recorded voices ignore it."""
    if voice.engine == "recorded":
        return recorded.read(text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        if voice.engine == "espeak-ng":
            words_per_minute = str(round(125 * speed))
            command = ["espeak-ng", "-v", f"{voice.language}+{voice.name}", "-s", words_per_minute, "-w", str(path)]
            _output([*command, "--", text])
        elif voice.engine == "flite":
            stretch = f"duration_stretch={1.25 / speed:.3f}"
            _output(["flite", "-voice", voice.name, "--setf", stretch, "-t", text, "-o", str(path)])
        else:
            setup = f"(begin (voice_{voice.name}) (Parameter.set 'Duration_Stretch {1.25 / speed:.3f}))"
            encoding = next(speaker.encoding for speaker in FESTIVAL if speaker.voice == voice)
            _output(["text2wave", "-o", str(path), "-eval", setup], text.encode(encoding, "ignore"))
        if not path.is_file():
            raise SpeechUnavailableError(f"{voice.engine} wrote no sound for voice {voice.name}: reinstall it")
        samples, rate = sf.read(path, dtype="float64", always_2d=True)
    if len(samples) < rate // 10:
        raise SpeechUnavailableError(f"{voice.engine} said nothing with voice {voice.name}: reinstall it")
    return np.ascontiguousarray(samples[:, 0]), int(rate)


def _output(command: list[str], standard_input: bytes = b"") -> str:
    done = subprocess.run(command, input=standard_input, capture_output=True, check=False)
    if done.returncode:
        raise SpeechUnavailableError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.stdout.decode(errors="replace")
