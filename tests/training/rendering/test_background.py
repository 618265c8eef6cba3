"""Which songs a background renderer takes, and which of them it sings."""

from pathlib import Path

import pytest

from training.compose.song import compose
from training.instruments.library import InstrumentChoice
from training.rendering import background, corpus

pytestmark = pytest.mark.training

SEEDS = range(100, 140)


@pytest.fixture
def choices(monkeypatch: pytest.MonkeyPatch) -> list[InstrumentChoice]:
    """The casts of the songs that were rendered; nothing is rendered or sung."""
    found: list[InstrumentChoice] = []

    def render_song(out: Path, seed: int, choice: InstrumentChoice) -> str:
        found.append(choice)
        return f"{seed} is rendered"

    monkeypatch.setattr(corpus, "render_song", render_song)
    monkeypatch.setattr(corpus, "add_singing", lambda out, seed: f"{seed} is sung")
    return found


@pytest.mark.parametrize("instruments", [0, 1, 2, 4])
def test_only_songs_with_so_many_held_stems_are_rendered(
    choices: list[InstrumentChoice], tmp_path: Path, instruments: int
) -> None:
    for seed in SEEDS:
        line = background.render_with_singing(tmp_path, instruments, 1.0, InstrumentChoice(), seed)
        held = {part.stem for part in compose(seed).parts} & set(background.HELD_STEMS)
        assert ("rendered" in line and "sung" in line) == (len(held) >= instruments)
    assert (len(choices) == len(SEEDS)) == (not instruments) and choices


@pytest.mark.parametrize(("sung", "fewest", "most"), [(0.0, 0, 0), (0.3, 1, 25), (1.0, 40, 40)])
def test_a_share_of_the_songs_is_sung(
    choices: list[InstrumentChoice], tmp_path: Path, sung: float, fewest: int, most: int
) -> None:
    choice = InstrumentChoice(share=0.75)
    lines = [background.render_with_singing(tmp_path, 0, sung, choice, seed) for seed in SEEDS]
    assert fewest <= sum("sung" in line for line in lines) <= most
    assert lines == [background.render_with_singing(tmp_path, 0, sung, choice, seed) for seed in SEEDS]
    assert set(choices) == {choice}
