import sys
from pathlib import Path

import pytest

from tests.cli.conftest import one_error, run, write_song

PNG = b"\x89PNG\r\n\x1a\n"


def test_the_picture_lands_in_the_folder_or_where_it_is_sent() -> None:
    for stem in ("drums", "bass"):
        write_song(f"song/{stem}.wav", seconds=0.5)
    assert run("plot", "song").out == "song/stems.png\n"
    assert run("plot", "song", "--out", "other.png").code == 0
    for path in ("song/stems.png", "other.png"):
        assert Path(path).read_bytes().startswith(PNG)


def test_stems_that_were_separated_here_show_their_presence() -> None:
    from stemwright.plot.song_folder_reader import read_stem_plots

    write_song("song.wav", seconds=1)
    assert run("separate", "song.wav", "--stems", "bass,drums").code == 0
    strips = read_stem_plots(Path("stems/song"))
    assert [strip.name for strip in strips] == ["drums", "bass", "residual"]
    assert all(strip.presence is not None for strip in strips)
    assert run("plot", "stems/song").code == 0


@pytest.mark.parametrize("folder, said", [("missing", "is not a folder"), ("empty", "no audio files")])
def test_a_folder_without_stems_is_told(folder: str, said: str) -> None:
    Path("empty").mkdir()
    done = run("plot", folder)
    assert done.code == 3
    one_error(done, words=[folder, said])


def test_a_stem_that_is_no_sound_is_told() -> None:
    Path("song").mkdir()
    Path("song/drums.wav").write_text("no sound")
    done = run("plot", "song")
    assert done.code == 3
    one_error(done, words=["drums.wav"])
    assert not Path("song/stems.png").exists()


@pytest.mark.parametrize(
    "command",
    [("plot", "song"), ("evaluate", "song", "--estimates", "song", "--card", "card.png")],
    ids=["plot", "card"],
)
def test_without_matplotlib_the_remedy_is_said_before_any_work(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_song("song/drums.wav", seconds=0.1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run(*command)
    assert done.code == 2
    one_error(done, words=["Matplotlib", "pip install 'stemwright[plot]'"])
    assert not Path("song/stems.png").exists() and not Path("card.png").exists()
