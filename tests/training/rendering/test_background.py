"""Which songs a background renderer takes, and which of them it sings."""

from pathlib import Path

import pytest

from training.compose.song import compose
from training.instruments.library import Cast
from training.rendering import background, corpus

pytestmark = pytest.mark.training

SEEDS = range(100, 140)


@pytest.fixture
def casts(monkeypatch: pytest.MonkeyPatch) -> list[Cast]:
    """The casts of the songs that were rendered; nothing is rendered or sung."""
    found: list[Cast] = []

    def render_song(out: Path, seed: int, cast: Cast) -> str:
        found.append(cast)
        return f"{seed} is rendered"

    monkeypatch.setattr(corpus, "render_song", render_song)
    monkeypatch.setattr(corpus, "add_singing", lambda out, seed: f"{seed} is sung")
    return found


@pytest.mark.parametrize("instruments", [0, 1, 2, 4])
def test_only_songs_with_so_many_held_stems_are_rendered(casts: list[Cast], tmp_path: Path, instruments: int) -> None:
    for seed in SEEDS:
        line = background.render_with_singing(tmp_path, instruments, 1.0, Cast(), seed)
        held = {part.stem for part in compose(seed).parts} & set(background.HELD_STEMS)
        assert ("rendered" in line and "sung" in line) == (len(held) >= instruments)
    assert (len(casts) == len(SEEDS)) == (not instruments) and casts


@pytest.mark.parametrize(("sung", "fewest", "most"), [(0.0, 0, 0), (0.3, 1, 25), (1.0, 40, 40)])
def test_a_share_of_the_songs_is_sung(casts: list[Cast], tmp_path: Path, sung: float, fewest: int, most: int) -> None:
    cast = Cast(share=0.75)
    lines = [background.render_with_singing(tmp_path, 0, sung, cast, seed) for seed in SEEDS]
    assert fewest <= sum("sung" in line for line in lines) <= most
    assert lines == [background.render_with_singing(tmp_path, 0, sung, cast, seed) for seed in SEEDS]
    assert set(casts) == {cast}
