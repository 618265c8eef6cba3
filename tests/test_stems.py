from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.errors import UsageError
from stemwright.stems import SINGING, STEMS, read_playing, select


def test_the_vocabulary_is_twelve_names_in_a_fixed_order() -> None:
    assert ",".join(STEMS) == (
        "vocals,backing_vocals,drums,bass,guitar,keyboard,strings,brass,woodwinds,percussion,synth,fx"
    )


def test_two_stems_put_all_singing_into_vocals() -> None:
    selection = select("two")
    assert selection.names == ("vocals", "instrumental")
    assert selection.parts[0].sources == SINGING


def test_a_list_gets_the_exact_rest() -> None:
    assert select("drums, bass").names == ("drums", "bass", "residual")


@pytest.mark.parametrize(
    ("stems", "sources"), [("vocals", SINGING), ("vocals,drums", SINGING), ("backing_vocals,vocals", ("vocals",))]
)
def test_vocals_are_the_lead_only_beside_backing_vocals(stems: str, sources: tuple[str, ...]) -> None:
    part = next(part for part in select(stems).parts if part.name == "vocals")
    assert part.sources == sources


@pytest.mark.parametrize("stems", ["", ",", "drums,drums", "piano", "two,drums", "vocals;drums"])
def test_what_is_no_list_of_stems_is_a_usage_error(stems: str) -> None:
    with pytest.raises(UsageError, match="stem"):
        select(stems)


@given(st.lists(st.sampled_from(STEMS), min_size=1, unique=True))
def test_the_parts_share_out_the_twelve_stems(names: list[str]) -> None:
    sources = [source for part in select(",".join(names)).parts for source in part.sources]
    assert sorted(sources) == sorted(STEMS)


@pytest.mark.parametrize(
    ("playing", "known"),
    [
        (None, None),
        ("vocals, Guitar", ("vocals", "backing_vocals", "guitar")),
        (["guitar", "drums", "drums"], ("drums", "guitar")),
        ("backing_vocals", ("backing_vocals",)),
    ],
)
def test_what_plays_is_read_in_the_order_of_the_vocabulary(
    playing: str | list[str] | None, known: tuple[str, ...] | None
) -> None:
    selection = select("twelve", playing)
    assert selection.playing == read_playing(playing) == known
    assert selection.plays("guitar") == (known is None or "guitar" in known)
    assert selection.parts == select("twelve").parts


@pytest.mark.parametrize("playing", ["", ",", "piano", "vocals;drums", []])
def test_what_names_no_stem_that_can_play_is_a_usage_error(playing: str | list[str]) -> None:
    with pytest.raises(UsageError, match=r"playing|no stem named"):
        read_playing(playing)


@pytest.mark.parametrize("stems", ["guitar", "drums,guitar", "vocals,drums"])
def test_who_asks_for_a_stem_that_does_not_play_is_told(stems: str) -> None:
    with pytest.raises(UsageError, match="is asked for and is not among those that play: add it to playing"):
        select(stems, "drums,bass")


@pytest.mark.parametrize("stems", ["two", "twelve", "drums"])
def test_what_has_no_name_of_its_own_may_be_absent(stems: str) -> None:
    assert select(stems, "drums,bass").playing == ("drums", "bass")
