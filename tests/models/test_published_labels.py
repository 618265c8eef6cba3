from __future__ import annotations

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models.published_labels import LABELS, sources
from stemwright.stems import STEMS


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("drums", "bass", "other", "vocals"), {"vocals": "vocals", "drums": "drums", "bass": "bass", "fx": "other"}),
        (("Vocals",), {"vocals": "Vocals"}),
        (("Vocals", "Instrumental"), {"vocals": "Vocals"}),
        (("lead_vocals", "Back Vocals"), {"vocals": "lead_vocals", "backing_vocals": "Back Vocals"}),
        (("karaoke",), {"vocals": "karaoke"}),
        (("guitar", "piano"), {"guitar": "guitar", "keyboard": "piano"}),
        (("bowed_strings",), {"strings": "bowed_strings"}),
        (
            ("Synth", "percussion", "woodwind", "brass"),
            {"synth": "Synth", "percussion": "percussion", "woodwinds": "woodwind", "brass": "brass"},
        ),
    ],
)
def test_published_labels_are_stems(labels: tuple[str, ...], found: dict[str, str]) -> None:
    assert sources(labels) == {stem: (label,) for stem, label in found.items()}


@pytest.mark.parametrize("labels", [("Instrumental",), ("instrum",), ("no_vocals", "other")])
def test_of_the_accompaniment_alone_the_voice_is_what_it_leaves(labels: tuple[str, ...]) -> None:
    assert sources(labels) == {"vocals": ("rest",)}


@pytest.mark.parametrize(
    ("not_separated", "is_voice"), [(("vocals",), True), (("vocals", "drums"), False), ((), False)]
)
def test_the_other_is_the_accompaniment_where_it_was_trained_beside_the_voice_alone(
    not_separated: tuple[str, ...], is_voice: bool
) -> None:
    if is_voice:
        assert sources(("other",), not_separated=not_separated) == {"vocals": ("rest",)}
    else:
        with pytest.raises(ModelUnavailableError, match=r"only the outputs 'other'.*--stem other=STEM"):
            sources(("other",), not_separated=not_separated)


def test_labels_of_one_stem_are_added_up() -> None:
    assert sources(("piano", "keys")) == {"keyboard": ("piano", "keys")}


def test_stems_come_in_the_order_of_the_vocabulary() -> None:
    assert list(sources(("other", "bass", "vocals"))) == ["vocals", "bass", "fx"]


def test_a_label_that_is_no_stem_is_named_with_the_option_that_helps() -> None:
    with pytest.raises(ModelUnavailableError, match=r"^x\.yaml has the output 'crowd', .*--stem crowd=STEM"):
        sources(("vocals", "crowd"), source="x.yaml")


def test_the_user_says_what_a_label_is() -> None:
    assert sources(("crowd", "vocals"), chosen={"crowd": "fx"}) == {"vocals": ("vocals",), "fx": ("crowd",)}
    assert sources(("Instrumental",), chosen={"Instrumental": "synth"}) == {"synth": ("Instrumental",)}
    with pytest.raises(ModelUnavailableError, match="only the outputs 'Instrumental'"):
        sources(("Instrumental",), chosen={"Instrumental": "fx"})


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"choir": "vocals"}, r"has no output 'choir'.*vocals, crowd"),
        ({"crowd": "people"}, r"no stem 'people' for 'crowd'"),
    ],
)
def test_a_choice_that_cannot_be_is_told(chosen: dict[str, str], words: str) -> None:
    with pytest.raises(ModelUnavailableError, match=words):
        sources(("vocals", "crowd"), chosen=chosen)


def test_every_stem_has_a_label_and_no_label_means_two() -> None:
    assert set(LABELS) == set(STEMS)
    labels = [label for line in LABELS.values() for label in line.split()]
    assert len(set(labels)) == len(labels)
