from pathlib import Path

import pytest

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.dataset_labels import (
    INSTRUMENT_LABELS,
    STEM_LABELS,
    files_by_stem,
    labelled_estimates,
    stem_of,
    stems_of_coarse_labels,
)
from stemwright.evaluation.reference_songs import find_songs
from stemwright.stems import STEMS
from tests.evaluation.sounds import noise, write


def paths(*names: str) -> list[Path]:
    return [Path(f"{name}.wav") for name in names]


@pytest.mark.parametrize(
    "label, stem",
    [
        ("vocals", "vocals"),
        ("Lead-Vocal", "vocals"),
        ("back-vocal", "backing_vocals"),
        ("Electric Guitar", "guitar"),
        ("digital-piano", "keyboard"),
        ("bowed_strings", "strings"),
        ("french-horn", "brass"),
        ("saxophone", "woodwinds"),
        ("congas", "percussion"),
        ("keys", "keyboard"),
        ("other", "other"),
        ("no_vocals", "instrumental"),
        ("mixture", "mixture"),
        ("theremin", None),
    ],
)
def test_labels_of_others_mean_our_stems(label: str, stem: str | None) -> None:
    assert stem_of(label) == stem


def test_every_stem_is_known_by_its_own_name_and_no_name_means_two() -> None:
    assert all(stem_of(stem) == stem for stem in STEMS)
    names = [name for table in (STEM_LABELS, INSTRUMENT_LABELS) for line in table.values() for name in line.split()]
    assert len(names) == len(set(names))


def test_files_of_one_stem_are_added_up() -> None:
    found = files_by_stem(paths("organ", "drums", "piano", "mixture"))
    assert found == {"drums": Path("drums.wav"), "keyboard": (Path("organ.wav"), Path("piano.wav")),
                     "mixture": Path("mixture.wav")}  # fmt: skip


@pytest.mark.parametrize("names", [("guitar", "acoustic-guitar"), ("drums", "kick"), ("keys", "keyboard")])
def test_the_same_sound_twice_is_told(names: tuple[str, str]) -> None:
    with pytest.raises(UnreadableInputError, match=r"is all of .* Move one of them away"):
        files_by_stem(paths(*names))


def test_an_unknown_label_is_told() -> None:
    with pytest.raises(UnreadableInputError, match=r"'theremin.wav' has an unknown label"):
        files_by_stem(paths("theremin"))


def test_coarse_labels_stand_for_what_their_neighbours_leave() -> None:
    four = stems_of_coarse_labels(files_by_stem(paths("vocals", "drums", "bass", "other")))
    assert four["vocals"] == ("vocals", "backing_vocals")
    assert four["other"] == tuple(STEMS[4:])
    fine = stems_of_coarse_labels(files_by_stem(paths("lead-vocal", "back-vocal", "wind", "strings", "other")))
    assert "vocals" not in fine
    assert fine["wind"] == ("brass", "woodwinds")
    assert fine["other"] == ("drums", "bass", "guitar", "keyboard", "percussion", "synth", "fx")


def test_estimates_of_other_separators_are_found(tmp_path: Path) -> None:
    (song,) = find_songs(write(tmp_path / "truth" / "song", {"drums": noise(1), "bass": noise(2)}))
    signals = {name: noise(3) for name in ("vocals", "drums", "bass", "other", "instrumental", "mixture")}
    write(tmp_path / "guess" / "song", signals)
    found = labelled_estimates(tmp_path / "guess", song, is_only_song=False)
    assert set(found) == {"vocals", "drums", "bass", "residual"}
    write(tmp_path / "two" / "song", {"vocals": noise(1), "instrumental": noise(2)})
    assert set(labelled_estimates(tmp_path / "two", song, is_only_song=False)) == {"vocals", "instrumental"}
    with pytest.raises(UnreadableInputError, match="no estimates of 'song'"):
        labelled_estimates(tmp_path, song, is_only_song=False)
    write(tmp_path / "odd", {"wind": noise(1)})
    with pytest.raises(UnreadableInputError, match="is not a single stem"):
        labelled_estimates(tmp_path / "odd", song, is_only_song=True)
