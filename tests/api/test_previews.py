"""Peaks and segments through HTTP: what a player draws and plays is what is stored."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.audio.peaks import read_peaks
from stemwright.database import tables
from stemwright.service.ids import dashed, new_id
from stemwright.service.task import Stem
from stemwright.stems import select
from tests.api.conftest import OpenServer, Server
from tests.api.native import problem
from tests.server_state import IN_FILES
from tests.storage.test_local_copies import watch_downloads

RATE = 8000
SECONDS = 12.0


def sound(seed: int) -> NDArray[np.int16]:
    """``(samples, channels)``"""
    return np.random.default_rng(seed).integers(-9000, 9000, (int(RATE * SECONDS), 2)).astype(np.int16)


def wav(samples: NDArray[np.int16], form: str = "WAV") -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format=form, subtype="PCM_16")
    return content.getvalue()


def separated(server: Server, form: str = "wav") -> str:
    """The path of a separation in two stems of 12 s, which add up to its song."""
    parts = [sound(1), sound(2)]
    blob = server.store(wav(parts[0] + parts[1]))
    track = server.service.tracks.add_stored(server.caller.account_id, blob, title="song", seconds=SECONDS)
    made = server.client.post("/v1/separations", json={"track_id": track.id, "format": form}).json()
    task_id = made["id"].replace("-", "")
    lease = server.hold(task_id)
    stems = []
    for position, (name, samples) in enumerate(zip(select("two").names, parts, strict=True)):
        stored = server.store(wav(samples, form.upper()))
        stems.append(
            Stem(new_id(), name, position, stored.digest, form, stored.size_bytes, SECONDS, True, 0.9, -3.0, -20.0)
        )
    assert server.service.worker_tasks.succeed(task_id, lease.token, stems, seconds=SECONDS, cache_key=None, facts={})
    return f"/v1/separations/{dashed(task_id)}"


def segments(server: Server, path: str) -> NDArray[np.int16]:
    pieces = []
    for number in range(3):
        reply = server.client.get(f"{path}/segments/{number}")
        assert reply.status_code == 200 and reply.headers["content-type"] == "audio/flac"
        pieces.append(soundfile.read(io.BytesIO(reply.content), dtype="int16")[0])
    assert [len(piece) for piece in pieces] == [5 * RATE, 5 * RATE, 2 * RATE]
    problem(server.client.get(f"{path}/segments/3"), 404, "not-found")
    return np.concatenate(pieces)


@pytest.fixture(scope="module")
def path(shared: Server) -> str:
    return separated(shared)


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_the_segments_of_the_stems_add_up_to_those_of_the_mix(shared: Server, form: str) -> None:
    path = separated(shared, form)
    total = sum(segments(shared, f"{path}/stems/{name}") for name in ("vocals", "instrumental"))
    np.testing.assert_array_equal(total, sound(1) + sound(2))
    np.testing.assert_array_equal(total, segments(shared, f"{path}/mix"))


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_short_segments_are_seconds_of_the_long_ones(shared: Server, form: str) -> None:
    path = f"{separated(shared, form)}/stems/vocals/segments"
    pieces = [shared.client.get(f"{path}/{second}", params={"short": True}) for second in range(int(SECONDS))]
    samples = [soundfile.read(io.BytesIO(piece.content), dtype="int16")[0] for piece in pieces]
    assert [len(piece) for piece in samples] == int(SECONDS) * [RATE]
    np.testing.assert_array_equal(np.concatenate(samples), sound(1))
    problem(shared.client.get(f"{path}/{int(SECONDS)}", params={"short": True}), 404, "not-found")
    assert pieces[1].headers["etag"] != shared.client.get(f"{path}/1").headers["etag"]


def test_peaks_of_an_old_result_are_computed_once_and_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    path = separated(server)
    reply = server.client.get(f"{path}/stems/vocals/peaks")
    assert reply.status_code == 200 and reply.headers["content-type"] == "application/octet-stream"
    rate, n_samples, levels = read_peaks(reply.content)
    assert (rate, n_samples) == (RATE, RATE * SECONDS)
    block = sound(1)[:256]
    assert levels[0][0].tolist() == [np.floor(block.min() / 256), np.ceil(block.max() / 256)]

    def never(_path: Path) -> bytes:
        raise AssertionError("computed twice")

    monkeypatch.setattr(server.service.previews, "peaks", never)
    assert server.client.get(f"{path}/stems/vocals/peaks").content == reply.content
    with server.service.database.read() as session:
        assert [row.size_bytes for row in session.query(tables.Peaks)] == [len(reply.content)]


def test_a_stem_goes_by_its_name_or_its_id(shared: Server, path: str) -> None:
    stem = shared.client.get(path).json()["stems"][1]
    by_name, by_id = (shared.client.get(f"{path}/stems/{name}/segments/0") for name in (stem["name"], stem["id"]))
    assert by_name.content == by_id.content


@pytest.mark.parametrize("number", ["3", "-1", "01", "1.0", "x", "1e9", "99999999999999999999", "%00", "٣", "..%2f0"])
@pytest.mark.parametrize("part", ["mix", "stems/vocals"])
def test_numbers_of_no_segment_are_404(shared: Server, path: str, part: str, number: str) -> None:
    problem(shared.client.get(f"{path}/{part}/segments/{number}"), 404, "not-found")


@pytest.mark.parametrize("name", ["drums", "mix", "..", "%2e%2e", "vocals%00", "'; --", "a" * 4000])
def test_names_of_no_stem_are_404(shared: Server, path: str, name: str) -> None:
    for rest in ("peaks", "segments/0"):
        problem(shared.client.get(f"{path}/stems/{name}/{rest}"), 404, "not-found")


@pytest.mark.parametrize("rest", ["stems/vocals/peaks", "stems/vocals/segments/1", "mix/peaks", "mix/segments/1"])
def test_browsers_may_keep_them_but_only_for_the_key(shared: Server, path: str, rest: str) -> None:
    reply = shared.client.get(f"{path}/{rest}")
    assert reply.headers["cache-control"] == "private, no-transform, max-age=3600, immutable"
    assert reply.headers["vary"].lower().startswith("authorization, x-api-key")
    again = shared.client.get(f"{path}/{rest}", headers={"If-None-Match": reply.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    with shared.another() as bob:
        assert bob.get(f"{path}/{rest}").status_code == 404


def test_ranges_of_a_segment(shared: Server, path: str) -> None:
    address = f"{path}/stems/vocals/segments/0"
    whole = shared.client.get(address)
    assert whole.headers["accept-ranges"] == "bytes"
    part = shared.client.get(address, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    changed = shared.client.get(address, headers={"Range": "bytes=10-19", "If-Range": '"another"'})
    assert changed.status_code == 200 and changed.content == whole.content
    outside = shared.client.get(address, headers={"Range": "bytes=99999999-"})
    problem(outside, 416, "requested-range-not-satisfiable")
    assert outside.headers["content-range"] == f"bytes */{len(whole.content)}"


def test_an_object_store_is_asked_for_each_file_once(
    open_server: OpenServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = watch_downloads(monkeypatch)
    server = open_server(storage_url=bucket)
    path = separated(server, "flac")
    total = sum(segments(server, f"{path}/stems/{name}") for name in ("vocals", "instrumental"))
    np.testing.assert_array_equal(total, segments(server, f"{path}/mix"))
    assert len(asked) == len(set(asked)) == 3


def test_without_the_song_the_stems_still_play(open_server: OpenServer) -> None:
    server = open_server()
    path = separated(server)
    track_id = server.client.get(path).json()["track_id"]
    assert server.client.delete(f"/v1/tracks/{track_id}").status_code == 204
    problem(server.client.get(f"{path}/mix/segments/0"), 404, "not-found")
    assert server.client.get(f"{path}/stems/vocals/segments/0").status_code == 200


@IN_FILES
def test_a_stem_that_cannot_be_read_is_said(open_server: OpenServer) -> None:
    server = open_server()
    path = separated(server)
    task = server.task(path.rpartition("/")[2].replace("-", ""))
    stored = server.service.store.local_path(task.stems[0].blob)
    assert stored is not None
    stored.write_bytes(b"RIFF, but damaged")
    facts = problem(server.client.get(f"{path}/stems/vocals/segments/0"), 503, "preview-unavailable")
    assert "Separate the song again" in facts["detail"]
    stored.unlink()
    problem(server.client.get(f"{path}/stems/vocals/segments/0"), 404, "not-found")
    problem(server.client.get(f"{path}/stems/vocals/peaks"), 404, "not-found")
