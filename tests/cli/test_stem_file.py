from __future__ import annotations

from pathlib import Path

import pytest

from stemwright.audio.stem_mp4 import read_stem_box
from tests.cli.conftest import one_error, run, write_song


@pytest.fixture(autouse=True)
def stems() -> None:
    for stem in ("drums", "bass", "residual"):
        write_song(f"song/{stem}.wav", seconds=0.5)


def names(path: str) -> list[str]:
    return [stem["name"] for stem in read_stem_box(Path(path))["stems"]]


def test_the_usual_groups_land_in_the_folder() -> None:
    assert run("stem-file", "song").out == "song/song.stem.mp4\n"
    assert names("song/song.stem.mp4") == ["Drums", "Bass", "Other", "Vocals"]
    assert run("stem-file", "song").code == 0, "the file of the first time is no stem"
    assert sorted(path.name for path in Path("song").iterdir() if path.name.startswith(".")) == []


def test_groups_and_file_of_ones_own() -> None:
    groups = ("Beat:drums", "Low:bass", "All else:residual", "Nothing:")
    options = [word for group in groups for word in ("--group", group)]
    assert run("stem-file", "song", *options, "--lossless", "--out", "other.mp4").code == 0
    assert names("other.mp4") == ["Beat", "Low", "All else", "Nothing"]


@pytest.mark.parametrize(
    ("groups", "word"),
    [
        (["Beat"], "NAME:STEM"),
        (["Beat:drums"], "four times"),
        (["A:drums", "B:bass", "C:residual", "D:piano"], "no stem named 'piano'"),
        (["A:drums", "B:bass", "C:", "D:"], "residual"),
        (["A:drums", "B:bass,drums", "C:residual", "D:"], "drums"),
    ],
)
def test_groups_that_are_none(groups: list[str], word: str) -> None:
    done = run("stem-file", "song", *(part for group in groups for part in ("--group", group)))
    assert done.code == 2
    one_error(done, words=[word])


@pytest.mark.parametrize(("folder", "said"), [("missing", "is not a folder"), ("empty", "no audio files")])
def test_a_folder_without_stems_is_told(folder: str, said: str) -> None:
    Path("empty").mkdir()
    done = run("stem-file", folder)
    assert done.code == 3
    one_error(done, words=[folder, said])
