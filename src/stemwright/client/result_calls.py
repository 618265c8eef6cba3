"""Addresses of what the server makes of a separation: files to save, and what a player plays and draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from stemwright import arguments
from stemwright.client.calls import Call, id_of
from stemwright.client.records import Separation, read_record
from stemwright.client.rendering_calls import speed_and_key

SINGING = ("vocals", "backing_vocals")


@dataclass(frozen=True)
class SpectrogramLevel:
    """One scale of a spectrogram: how many samples a column covers, and how many columns and tiles there are."""

    samples_per_column: int
    columns: int
    tiles: int


@dataclass(frozen=True)
class Spectrogram:
    """How the tiles of a spectrogram lie; docs/api.md says what they show. The finest level is the first."""

    sample_rate: int
    samples: int
    tile_columns: int
    rows: int
    highest_hz: float
    floor_db: float
    ceiling_db: float
    levels: tuple[SpectrogramLevel, ...]


def zip_path(separation: Separation | UUID | str, speed: float, semitones: float) -> str:
    """All stems."""
    return f"/v1/separations/{id_of(separation)}/stems.zip{_query(speed, semitones)}"


def daw_set_path(separation: Separation | UUID | str, speed: float, semitones: float) -> str:
    """The set for an audio workstation."""
    return f"/v1/separations/{id_of(separation)}/daw.zip{_query(speed, semitones)}"


def mixdown_path(
    separation: Separation | UUID | str,
    gains: Mapping[str, float],
    pans: Mapping[str, float],
    master: float,
    speed: float,
    semitones: float,
) -> str:
    """A mix; raises UsageError for what is no number."""
    query = [*speed_and_key(speed, semitones).items()]
    query.append(("master", f"{arguments.number(master, 'master', 'as a factor'):g}"))
    for name in dict.fromkeys([*gains, *pans]):
        gain = arguments.number(gains.get(name, 1.0), f"the gain of {name}", "as a factor")
        pan = arguments.number(pans.get(name, 0.0), f"the pan of {name}", "from -1 to 1")
        query.append(("stem", f"{name}:{gain:g}:{pan:g}"))
    return f"/v1/separations/{id_of(separation)}/mixdown?{urlencode(query)}"


def stem_file_path(separation: Separation | UUID | str, groups: Mapping[str, Sequence[str]], *, lossless: bool) -> str:
    """A ``.stem.mp4``; raises UsageError for groups that are none."""
    query = [("codec", "alac" if lossless else "aac")]
    for name, stems in groups.items():
        query.append(("group", f"{name}:{','.join(arguments.words(stems, f'the stems of {name}'))}"))
    return f"/v1/separations/{id_of(separation)}/stem.mp4?{urlencode(query)}"


def peaks_path(separation: Separation | UUID | str, stem: str | None, speed: float, semitones: float) -> str:
    """The peaks of a stem, or of the song."""
    return f"{_part(separation, stem)}/peaks{_query(speed, semitones)}"


def segment_path(
    separation: Separation | UUID | str, stem: str | None, number: int, speed: float, semitones: float, *, short: bool
) -> str:
    """A segment of a stem, or of the song."""
    query = _query(speed, semitones, short=short)
    return f"{_part(separation, stem)}/segments/{_number(number, 'number')}{query}"


def spectrogram_path(separation: Separation | UUID | str, stem: str | None, *, taken: bool) -> str:
    """The spectrogram of a stem or of the song, or what a stem took."""
    return f"{_part(separation, stem)}/{'taken' if taken else 'spectrogram'}"


def spectrogram(path: str) -> Call[Spectrogram]:
    """How its tiles lie."""
    return Call("GET", path, _read_spectrogram)


def tile_path(path: str, level: int, number: int) -> str:
    """A tile of it."""
    return f"{path}/{_number(level, 'level')}/{_number(number, 'number')}"


def _part(separation: Separation | UUID | str, stem: str | None) -> str:
    part = "mix" if stem is None else f"stems/{quote(arguments.text(stem, 'stem'), safe='')}"
    return f"/v1/separations/{id_of(separation)}/{part}"


def _query(speed: float, semitones: float, *, short: bool = False) -> str:
    query = urlencode({**speed_and_key(speed, semitones), **({"short": "true"} if short else {})})
    return f"?{query}" if query else ""


def _number(value: int, name: str) -> int:
    return arguments.whole(value, name, "from 0", lowest=0, highest=999_999)


def _read_spectrogram(facts: dict[str, Any]) -> Spectrogram:
    levels = [read_record(SpectrogramLevel, level) for level in facts["levels"]]
    return read_record(Spectrogram, {**facts, "levels": levels})
