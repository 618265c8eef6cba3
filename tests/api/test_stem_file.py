"""``.stem.mp4`` through HTTP: the groups that were chosen, made once, and a sentence for groups that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemwright.audio.stem_mp4 import read_stem_box
from stemwright.database import tables
from stemwright.service.stem_files import MAX_SECONDS
from tests.api.conftest import Server
from tests.api.native import problem
from tests.api.test_mixdown import LENGTH, separated, sounds, wav
from tests.audio.test_stem_mp4 import tracks
from tests.server_state import IN_FILES

CHOSEN = ("Beat:drums", "Low end:bass", "All else:residual", "Nothing:")


@pytest.fixture(scope="module")
def path(shared: Server) -> str:
    files = {name: wav(samples) for name, samples in sounds(2).items()}
    return separated(shared, files, "wav").replace("/mixdown", "/stem.mp4")


def names(server: Server, out: Path, path: str, *groups: str, codec: str = "alac") -> list[str]:
    reply = server.client.get(path, params=[("codec", codec), *(("group", group) for group in groups)])
    assert reply.status_code == 200 and reply.headers["content-type"] == "video/mp4"
    assert reply.headers["content-disposition"] == 'attachment; filename="song.stem.mp4"'
    assert int(reply.headers["content-length"]) == len(reply.content)
    out.write_bytes(reply.content)
    return [stem["name"] for stem in read_stem_box(out)["stems"]]


def test_the_groups_that_were_chosen(shared: Server, path: str, tmp_path: Path) -> None:
    assert names(shared, tmp_path / "out", path, *CHOSEN) == ["Beat", "Low end", "All else", "Nothing"]
    parts = [samples / 32_768 for samples in sounds(2).values()]
    expected = [np.clip(sum(parts), -1, 1 - 2**-23), *parts, np.zeros((LENGTH, 2))]
    for found, wanted in zip(tracks(tmp_path / "out"), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_usual_groups(shared: Server, path: str, tmp_path: Path) -> None:
    assert names(shared, tmp_path / "out", path, codec="aac") == ["Drums", "Bass", "Other", "Vocals"]
    assert [bool(np.abs(track).max() > 0.01) for track in tracks(tmp_path / "out")] == [True, True, True, True, False]


def test_it_is_made_once(shared: Server, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names(shared, tmp_path / "first", path, *CHOSEN)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("made twice")

    monkeypatch.setattr(shared.service.previews, "stem_mp4", never)
    names(shared, tmp_path / "second", path, *CHOSEN)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (("Beat:drums",), "four groups"),
        (("Beat",), "Write Name:stem"),
        ((*CHOSEN, "Fifth:"), "at most 4"),
        ((*CHOSEN[:3], "Piano:keyboard"), "it has drums, bass, residual"),
        ((*CHOSEN[:3], "Again:drums"), "in two groups"),
        (("A:drums", "B:bass", "C:", "D:"), "No group has residual"),
        ((*CHOSEN[:3], ":"), "1 to 30 characters"),
        ((*CHOSEN[:3], "x" * 31 + ":"), "1 to 30 characters"),
        ((*CHOSEN[:3], "\x07:"), "1 to 30 characters"),
    ],
)
def test_groups_that_are_none(shared: Server, path: str, groups: tuple[str, ...], words: str) -> None:
    reply = shared.client.get(path, params=[("group", group) for group in groups])
    assert words in problem(reply, 422, "invalid-request")["detail"]
    problem(shared.client.get(path, params={"codec": "mp3"}), 422, "invalid-request")


def test_a_song_that_is_too_long(shared: Server) -> None:
    path = separated(shared, {"drums": wav(sounds(2)["drums"])}, "wav").replace("/mixdown", "/stem.mp4")
    task_id = path.split("/")[3].replace("-", "")
    with shared.service.database.write() as session:
        session.get_one(tables.Task, task_id).seconds = MAX_SECONDS + 1
    assert "up to 15 minutes" in problem(shared.client.get(path), 409, "conflict")["detail"]


@IN_FILES
def test_a_stem_that_is_gone_is_said(shared: Server) -> None:
    path = separated(shared, {"drums": wav(np.ones((LENGTH, 1), np.int16))}, "wav").replace("/mixdown", "/stem.mp4")
    stored = shared.service.store.local_path(shared.task(path.split("/")[3].replace("-", "")).stems[0].blob)
    assert stored is not None
    stored.unlink()
    problem(shared.client.get(path), 404, "not-found")
