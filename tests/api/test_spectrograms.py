"""Spectrograms through HTTP: drawn once, kept with their sound file, tile by tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemwright.database import tables
from tests.api.conftest import Server
from tests.api.native import problem
from tests.api.test_previews import RATE, SECONDS, separated
from tests.audio.test_spectrogram import pixels
from tests.server_state import IN_FILES

PARTS = ("stems/vocals/spectrogram", "mix/spectrogram", "stems/vocals/taken")


@pytest.fixture(scope="module")
def path(shared: Server) -> str:
    return separated(shared)


@pytest.mark.parametrize("part", PARTS)
def test_tiles_of_each_level_cover_the_song(shared: Server, path: str, part: str) -> None:
    facts = shared.client.get(f"{path}/{part}").json()
    assert (facts["sample_rate"], facts["samples"], facts["rows"]) == (RATE, SECONDS * RATE, 192)
    assert facts["highest_hz"] == RATE / 2 and facts["floor_db"] < facts["ceiling_db"]
    for number, level in enumerate(facts["levels"]):
        assert level["samples_per_column"] * level["columns"] >= facts["samples"]
        widths = []
        for tile in range(level["tiles"]):
            reply = shared.client.get(f"{path}/{part}/{number}/{tile}")
            assert reply.status_code == 200 and reply.headers["content-type"] == "image/png"
            height, width, _ = pixels(reply.content).shape
            assert height == facts["rows"]
            widths.append(width)
        assert sum(widths) == level["columns"] and set(widths[:-1]) <= {facts["tile_columns"]}
    assert facts["levels"][-1]["tiles"] == 1 < facts["levels"][0]["tiles"]


def test_noise_of_two_stems_is_taken_by_halves(shared: Server, path: str) -> None:
    mean = pixels(shared.client.get(f"{path}/stems/vocals/taken/1/0").content).reshape(-1, 3).mean(axis=0)
    colour = pixels(shared.client.get(f"{path}/mix/spectrogram/1/0").content).reshape(-1, 3).mean(axis=0)
    assert 0.2 < np.ptp(mean) / np.ptp(colour) < 0.8


def test_it_is_drawn_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    path = separated(server)
    first = [server.client.get(f"{path}/{part}/0/0").content for part in PARTS]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("drawn twice")

    monkeypatch.setattr(server.service.previews, "_ask", never)
    assert [server.client.get(f"{path}/{part}/0/0").content for part in PARTS] == first
    with server.service.database.read() as session:
        rows = session.query(tables.DerivedFile).all()
    assert sorted(row.kind.partition("-")[0] for row in rows) == ["spectrogram", "spectrogram", "taken"]
    assert all(row.size_bytes == server.service.store.size(row.blob) for row in rows)


@pytest.mark.parametrize("tile", ["9/0", "0/99", "-1/0", "0/-1", "01/0", "0/x", "0/1e3", "0/9999999", "٣/0", "0/%00"])
@pytest.mark.parametrize("part", PARTS)
def test_tiles_that_are_none_are_404(shared: Server, path: str, part: str, tile: str) -> None:
    problem(shared.client.get(f"{path}/{part}/{tile}"), 404, "not-found")


@pytest.mark.parametrize("part", PARTS)
def test_browsers_may_keep_tiles_but_only_for_the_key(shared: Server, path: str, part: str) -> None:
    reply = shared.client.get(f"{path}/{part}/0/0")
    assert reply.headers["cache-control"] == "private, no-transform, max-age=3600, immutable"
    again = shared.client.get(f"{path}/{part}/0/0", headers={"If-None-Match": reply.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    others = {shared.client.get(f"{path}/{other}/0/0").headers["etag"] for other in PARTS}
    assert len(others) == 3
    with shared.another() as bob:
        assert bob.get(f"{path}/{part}/0/0").status_code == 404


def test_a_common_gain_of_the_stems_does_not_change_the_shares(server: Server) -> None:
    path = separated(server)
    task_id = path.rpartition("/")[2].replace("-", "")
    shares = []
    for gain_db in (0.0, -6.02):
        with server.service.database.write() as session:
            session.get_one(tables.Task, task_id).facts = {"gain_db": gain_db}
        shares.append(pixels(server.client.get(f"{path}/stems/vocals/taken/0/0").content))
    assert np.abs(shares[0].astype(int) - shares[1]).mean() > 5, "the stem was written louder than it says"


def test_without_the_song_the_stems_are_drawn(server: Server) -> None:
    path = separated(server)
    assert server.client.delete(f"/v1/tracks/{server.client.get(path).json()['track_id']}").status_code == 204
    assert server.client.get(f"{path}/stems/vocals/spectrogram").status_code == 200
    problem(server.client.get(f"{path}/stems/vocals/taken"), 404, "not-found")
    problem(server.client.get(f"{path}/mix/spectrogram"), 404, "not-found")


@IN_FILES
def test_a_stem_that_is_gone_is_said(server: Server) -> None:
    path = separated(server)
    task = server.task(path.rpartition("/")[2].replace("-", ""))
    stored: Path | None = server.service.store.local_path(task.stems[0].blob)
    assert stored is not None
    stored.unlink()
    for part in ("spectrogram", "spectrogram/0/0", "taken", "taken/0/0"):
        problem(server.client.get(f"{path}/stems/vocals/{part}"), 404, "not-found")
