"""What published networks call what they separate, and which of the twelve stems that is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stemwright.errors import ModelUnavailableError
from stemwright.models.registry import REST
from stemwright.stems import SINGING, STEMS

LABELS = {
    "vocals": "vocals vocal voice singing lead lead-vocal lead-vocals lead-voice karaoke",
    "backing_vocals": "back-vocal back-vocals backing-vocal backing-vocals backing backing-voice bv",
    "drums": "drums drum drum-kit",
    "bass": "bass bass-guitar",
    "guitar": "guitar guitars",
    "keyboard": "piano keys keyboard keyboards",
    "strings": "strings bowed-strings",
    "brass": "brass",
    "woodwinds": "woodwind woodwinds",
    "percussion": "percussion perc",
    "synth": "synth synths synthesizer synthesiser",
    "fx": "other others fx residual",
}
"""Stem to the labels that mean it, without regard to capitals, spaces and underscores."""

INSTRUMENTAL = frozenset({"instrumental", "instrum", "inst", "accompaniment", "music", "no-vocals", "novocals"})
"""Labels of all that is not sung. It is no stem of the twelve: beside the voice it is what the voice leaves."""

_STEMS = {label: stem for stem, labels in LABELS.items() for label in labels.split()}


def sources(
    labels: Sequence[str],
    *,
    beside: Sequence[str] = (),
    chosen: Mapping[str, str] | None = None,
    source: str = "The model",
) -> dict[str, tuple[str, ...]]:
    """For each stem that a network separates, the labels that are added up to it.

    A network that gives nothing but the accompaniment separates the voice: it is what is left.

    Args:
        labels: what the network gives, by the names of whoever published it.
        beside: what else there was in the songs that it was trained on; of a network for the voice and "other", which gives
            the other, that is the accompaniment.
        chosen: label to stem, over the table above.
        source: who has these labels, for what is said of errors.

    Raises:
        ModelUnavailableError: a label means no stem, or is chosen but not given, or is chosen to be what is no stem; or
            all that there is of them is what the other stems leave.
    """
    chosen = chosen or {}
    for label, named in chosen.items():
        if label not in labels:
            raise ModelUnavailableError(
                f"{source} gives no '{label}' for --stem {label}={named}; choose one of: {', '.join(labels)}."
            )
        if named not in STEMS:
            raise ModelUnavailableError(f"There is no stem '{named}' for '{label}'; choose one of: {', '.join(STEMS)}.")
    found: dict[str, list[str]] = {}
    for label in labels:
        name = _plain(label)
        if label not in chosen and name in INSTRUMENTAL:
            continue
        stem = chosen.get(label) or _STEMS.get(name)
        if stem is None:
            raise ModelUnavailableError(
                f"{source} gives '{label}', which is none of the twelve stems; say which one it is with "
                f"--stem {label}=STEM, where STEM is one of: {', '.join(STEMS)}."
            )
        found.setdefault(stem, []).append(label)
    if set(found) <= {"fx"}:
        sung = bool(beside) and all(_STEMS.get(_plain(label)) in SINGING for label in beside)
        if any(label not in chosen and (sung or _plain(label) in INSTRUMENTAL) for label in labels):
            return {"vocals": (REST,)}
        raise ModelUnavailableError(
            f"{source} gives nothing but {', '.join(map(repr, labels))}, which is what the other stems leave; say which "
            f"stem it is with --stem {labels[0]}=STEM, or take another model."
        )
    return {stem: tuple(found[stem]) for stem in STEMS if stem in found}


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", "-", label.strip().lower())
