"""Which names are songs, and folders as a source and a target."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stemwright.batch.folder import FolderSource, FolderTarget
from stemwright.batch.listing import MAX_PATH_BYTES, chunks, listed_song
from stemwright.batch.places import open_places
from stemwright.batch.work_folder import WorkFolder
from stemwright.errors import UnreadableInputError, UsageError


def test_hidden_files_and_those_of_other_kinds_are_no_songs() -> None:
    for path in (".a.mp3", "b/.c/d.mp3", "cover.jpg", "mp3", ""):
        assert listed_song(path, "1") is None
    song = listed_song("b/d.MP3", "1")
    assert song is not None and (song.path, song.error, song.exit_code) == ("b/d.MP3", "", 0)


def test_a_name_that_cannot_be_stored_is_a_failure_with_a_name_of_its_own() -> None:
    raw = listed_song("b/\udcff.mp3", "1")
    assert raw is not None and raw.path == "b/\\udcff.mp3" and "rename it" in raw.error and raw.exit_code == 3
    one, other = (listed_song(f"{'ü' * 600}{end}.mp3", "1") for end in "ab")
    assert one is not None and other is not None and one.path != other.path
    assert len(one.path.encode()) <= MAX_PATH_BYTES and "shorten it" in one.error
    long = listed_song(f"a/{'b' * 245}.mp3", "1")
    assert long is not None and "shorten it" in long.error


def test_chunks_take_no_more_than_they_give() -> None:
    endless = iter(range(10))
    pieces = chunks(endless, 4)
    assert next(pieces) == [0, 1, 2, 3]
    assert next(endless) == 4
    assert list(pieces) == [[5, 6, 7, 8], [9]]


def test_a_folder_is_listed_with_its_subfolders_and_versions(tmp_path: Path) -> None:
    for name in ("a.mp3", "rock/b.wav", ".trash/c.wav", "cover.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "gone.mp3").symlink_to("nowhere")
    source = FolderSource(str(tmp_path))
    before = {song.path: song.version for song in source.songs()}
    assert set(before) == {"a.mp3", "rock/b.wav", "gone.mp3"}
    os.utime(tmp_path / "a.mp3", ns=(1, 1))
    after = {song.path: song.version for song in source.songs()}
    assert after["a.mp3"] != before["a.mp3"] and after["rock/b.wav"] == before["rock/b.wav"]
    with pytest.raises(UnreadableInputError, match="no longer in"):
        source.fetch("gone.mp3", tmp_path)
    with pytest.raises(UnreadableInputError, match=r"cannot be listed \(No such file"):
        list(FolderSource(str(tmp_path / "none")).songs())


def test_stems_appear_whole_and_replace_those_of_an_earlier_run(tmp_path: Path) -> None:
    target = FolderTarget(str(tmp_path))
    target.check()
    for text in ("old", "new"):
        stems = target.work_root("") / "files" / "b.mp3"
        stems.mkdir(parents=True)
        (stems / "vocals.wav").write_text(text)
        staged = target.stage(stems, "a/b.mp3")
        staged.publish()
        staged.publish()
        staged.discard()
        assert (tmp_path / "a/b.mp3/vocals.wav").read_text() == text
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.mp3"]
    assert list((target.work_root("") / "files").iterdir()) == []


@pytest.mark.parametrize("target", ["music", "music/stems", ".", "s3://b/music/stems", "s3://b"])
def test_places_in_one_another_are_refused(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = "s3://b/music" if "://" in target else "music"
    with pytest.raises(UsageError, match="choose a DST beside SRC"):
        open_places(source, target)
    open_places("music", "music2")


def test_a_process_finds_what_one_before_it_left_and_never_what_another_uses(tmp_path: Path) -> None:
    first, second = WorkFolder(tmp_path), WorkFolder(tmp_path)
    assert first.path != second.path
    assert first.interrupted is None
    (first.begin("a.mp3") / "part").touch()
    first.close()
    again = WorkFolder(tmp_path)
    assert (again.path, again.interrupted) == (first.path, "a.mp3")
    assert [path.name for path in again.begin("a.mp3").iterdir()] == ["part"]
    assert list(again.begin("b.mp3").iterdir()) == []
    again.clear()
    assert again.interrupted is None
    again.close()
    second.close()
