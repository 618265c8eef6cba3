"""Maps labels of published networks to stems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stemwright.errors import ModelUnavailableError
from stemwright.models.registry import REMAINDER_LABEL
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
"""Stem to its labels; case, spaces and underscores are ignored."""

INSTRUMENTAL = frozenset({"instrumental", "instrum", "inst", "accompaniment", "music", "no-vocals", "novocals"})
"""Labels of the accompaniment. It is not one of the twelve stems, but the song less the vocals."""

_STEM_OF_LABEL = {label: stem for stem, labels in LABELS.items() for label in labels.split()}


def sources(
    labels: Sequence[str],
    *,
    not_separated: Sequence[str] = (),
    chosen: Mapping[str, str] | None = None,
    source: str = "The model",
) -> dict[str, tuple[str, ...]]:
    """For each stem that a network separates, the labels that are summed for it.

    A network that only outputs the accompaniment separates the vocals, as the remainder.

    Args:
        labels: published labels of the network's outputs.
        not_separated: other instruments of its training data. If they are all vocals, its output "other" is the
            accompaniment.
        chosen: label to stem; overrides the table above.
        source: owner of these labels, for error messages.

    Raises:
        ModelUnavailableError: a label has no known stem, a chosen label does not exist or is mapped to an unknown stem,
            or the labels only cover the remainder of other stems.
    """
    chosen = chosen or {}
    for label, named in chosen.items():
        if label not in labels:
            raise ModelUnavailableError(
                f"{source} has no output '{label}' for --stem {label}={named}; choose one of: {', '.join(labels)}."
            )
        if named not in STEMS:
            raise ModelUnavailableError(f"There is no stem '{named}' for '{label}'; choose one of: {', '.join(STEMS)}.")
    found: dict[str, list[str]] = {}
    for label in labels:
        name = _normalized(label)
        if label not in chosen and name in INSTRUMENTAL:
            continue
        stem = chosen.get(label) or _STEM_OF_LABEL.get(name)
        if stem is None:
            raise ModelUnavailableError(
                f"{source} has the output '{label}', which is not one of the twelve stems; choose its stem with "
                f"--stem {label}=STEM, where STEM is one of: {', '.join(STEMS)}."
            )
        found.setdefault(stem, []).append(label)
    if set(found) <= {"fx"}:
        sung = bool(not_separated) and all(_STEM_OF_LABEL.get(_normalized(label)) in SINGING for label in not_separated)
        if any(label not in chosen and (sung or _normalized(label) in INSTRUMENTAL) for label in labels):
            return {"vocals": (REMAINDER_LABEL,)}
        raise ModelUnavailableError(
            f"{source} has only the outputs {', '.join(map(repr, labels))}, which are the remainder of other stems; choose "
            f"the stem with --stem {labels[0]}=STEM, or use another model."
        )
    return {stem: tuple(found[stem]) for stem in STEMS if stem in found}


def _normalized(label: str) -> str:
    return re.sub(r"[\s_-]+", "-", label.strip().lower())
