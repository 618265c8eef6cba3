"""Which songs a background renderer takes, and which of them it sings."""

from pathlib import Path

import pytest

from training.compose.song import compose
from training.instruments.library import Cast
from training.rendering import background, corpus

pytestmark = pytest.mark.training

SEEDS = range(100, 140)


@pytest.mark.parametrize("instruments", [1, 2, 4])
def test_only_songs_with_so_many_held_stems_are_taken(instruments: int) -> None:
    taken = list(background.instrumental_seeds(SEEDS, instruments))
    for seed in SEEDS:
        held = {part.stem for part in compose(seed).parts} & set(background.HELD_STEMS)
        assert (seed in taken) == (len(held) >= instruments)
    assert 0 < len(taken) < len(SEEDS)


def test_all_songs_are_taken_by_default() -> None:
    assert list(background.instrumental_seeds(SEEDS, 0)) == list(SEEDS)


@pytest.mark.parametrize(("sung", "fewest", "most"), [(0.0, 0, 0), (0.3, 1, 25), (1.0, 40, 40)])
def test_a_share_of_the_songs_is_sung(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sung: float, fewest: int, most: int
) -> None:
    casts: list[Cast] = []

    def render_song(out: Path, seed: int, cast: Cast) -> str:
        casts.append(cast)
        return f"song {seed}"

    monkeypatch.setattr(corpus, "render_song", render_song)
    monkeypatch.setattr(corpus, "add_singing", lambda out, seed: f"{seed} is sung")
    cast = Cast(share=0.75)
    lines = [background.render_with_singing(tmp_path, sung, cast, seed) for seed in SEEDS]
    assert fewest <= sum("sung" in line for line in lines) <= most
    assert lines == [background.render_with_singing(tmp_path, sung, cast, seed) for seed in SEEDS]
    assert set(casts) == {cast}
