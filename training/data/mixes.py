"""Named settings of training mixes, to choose by ``--mixes``."""

from __future__ import annotations

from training.data.augmentation import UNAUGMENTED, MixSettings

HELD_NOTES_PROBABILITY = {
    "vocals": 0.5, "backing_vocals": 0.3, "drums": 0.6, "bass": 0.6, "guitar": 0.55, "keyboard": 0.6,
    "strings": 0.45, "brass": 0.45, "woodwinds": 0.45, "percussion": 0.35, "synth": 0.4, "fx": 0.08,
}  # fmt: skip

BALANCED_PROBABILITY = {
    "vocals": 0.6, "backing_vocals": 0.35, "drums": 0.6, "bass": 0.6, "guitar": 0.5, "keyboard": 0.55,
    "strings": 0.36, "brass": 0.36, "woodwinds": 0.36, "percussion": 0.3, "synth": 0.36, "fx": 0.08,
}  # fmt: skip

MIXES = {
    "default": MixSettings(),
    "balanced": MixSettings(p_unlabelled=0.35, p_sparse=0.3, stem_probability=BALANCED_PROBABILITY),
    "sparse": MixSettings(p_sparse=0.5, p_coherent=0.3),
    "instruments": MixSettings(
        p_coherent=0.35, p_unlabelled=0.3, p_sparse=0.35, stem_probability=HELD_NOTES_PROBABILITY
    ),
    "unaugmented": UNAUGMENTED,
}
"""How the mixes are made.

``sparse`` has half of them with one to three stems, in place of 35 %. ``instruments`` has strings, brass, woodwinds,
percussion and synths in more of them: by default six of ten mixes of many songs contain an unlabelled recording, and
then none of these; here three of ten. ``balanced``, of round S, lies between these two.
"""
