"""The mixdown of a separation: to the sample what the faders say, and a sentence for what they cannot."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.audio.encode import Encoder, Tags
from stemwright.audio.formats import OutputFormat
from stemwright.service.ids import dashed, new_id
from stemwright.service.mixdown import Fader
from stemwright.service.task import Stem
from tests.api.conftest import Server
from tests.api.native import problem
from tests.server_state import IN_FILES

RATE = 8000
LENGTH = 12 * RATE + 17


def sounds(channels: int) -> dict[str, NDArray[np.int16]]:
    """``(samples, channels)`` of each stem."""
    rng = np.random.default_rng(2)
    return {
        name: rng.integers(-9000, 9000, (LENGTH, channels)).astype(np.int16) for name in ("drums", "bass", "residual")
    }


def separated(server: Server, files: dict[str, bytes], fmt: str, **facts: object) -> str:
    """The path of a separation with these files as stems."""
    made = server.client.post(
        "/v1/separations", json={"track_id": server.add_track().id, "stems": ["drums", "bass"], "format": fmt}
    ).json()
    task_id = made["id"].replace("-", "")
    lease = server.hold(task_id)
    stems = []
    for position, (name, content) in enumerate(files.items()):
        blob = server.store(content)
        stems.append(Stem(new_id(), name, position, blob.digest, fmt, blob.size_bytes, 12.0, True, 0.9, -3.0, -20.0))
    done = {"sample_rate": RATE, "samples": LENGTH, **facts}
    assert server.service.worker_tasks.succeed(task_id, lease.token, stems, seconds=12.0, cache_key=None, facts=done)
    return f"/v1/separations/{dashed(task_id)}/mixdown"


def wav(samples: NDArray[np.int16]) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format="WAV", subtype="PCM_16")
    return content.getvalue()


def mixed(server: Server, path: str, *stems: str, **query: float) -> NDArray[np.float32]:
    reply = server.client.get(path, params=[*(("stem", stem) for stem in stems), *query.items()])
    assert reply.status_code == 200 and reply.headers["content-type"] == "audio/wav"
    assert reply.headers["content-disposition"].startswith('attachment; filename="song ')
    assert int(reply.headers["content-length"]) == len(reply.content)
    info = soundfile.info(io.BytesIO(reply.content))
    assert (info.subtype, info.samplerate, info.channels, info.frames) == ("FLOAT", RATE, 2, LENGTH)
    samples: NDArray[np.float32] = soundfile.read(io.BytesIO(reply.content), dtype="float32")[0]
    return samples


@pytest.fixture(scope="module", params=[1, 2], ids=["mono", "stereo"])
def song(shared: Server, request: pytest.FixtureRequest) -> tuple[str, dict[str, NDArray[np.float64]]]:
    """The path of a mixdown, and each stem as two channels of floats."""
    parts = sounds(request.param)
    path = separated(shared, {name: wav(samples) for name, samples in parts.items()}, "wav")
    return path, {name: np.repeat(part, 3 - request.param, axis=1) / 32_768 for name, part in parts.items()}


def test_at_unity_it_is_the_sum(shared: Server, song: tuple[str, dict[str, NDArray[np.float64]]]) -> None:
    path, parts = song
    np.testing.assert_array_equal(mixed(shared, path), sum(parts.values()))


def test_a_stem_alone_names_the_file(shared: Server, song: tuple[str, dict[str, NDArray[np.float64]]]) -> None:
    path, parts = song
    reply = shared.client.get(path, params={"stem": ["bass:0", "residual:0"]})
    assert reply.headers["content-disposition"] == 'attachment; filename="song drums.wav"'
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(reply.content))[0], parts["drums"])


def test_faders_and_master(shared: Server, song: tuple[str, dict[str, NDArray[np.float64]]]) -> None:
    path, parts = song
    expected = 0.5 * (2 * parts["drums"] + parts["residual"])
    np.testing.assert_allclose(mixed(shared, path, "drums:2", "bass:0", master=0.5), expected, rtol=0, atol=1e-6)


def test_pan_moves_all_to_one_side(shared: Server, song: tuple[str, dict[str, NDArray[np.float64]]]) -> None:
    path, parts = song
    output = mixed(shared, path, "drums:1:-1", "bass:0", "residual:0")
    np.testing.assert_allclose(output[:, 0], parts["drums"].sum(axis=1), rtol=0, atol=1e-6)
    np.testing.assert_allclose(output[:, 1], 0, atol=1e-6)


@pytest.mark.parametrize("pan", [-1.0, -0.5, -0.01, 0.01, 0.5, 1.0])
def test_left_and_right_are_mirrored(pan: float) -> None:
    np.testing.assert_allclose(Fader(1, pan).matrix(), Fader(1, -pan).matrix()[::-1, ::-1], atol=1e-6)


def test_lossy_stems_are_mixed_too(shared: Server, tmp_path: Path) -> None:
    files = {}
    for name, samples in sounds(2).items():
        fmt = OutputFormat("ogg", "ogg", None, None, lossless=False)
        with Encoder(tmp_path / name, fmt, sample_rate=RATE, channels=2, tags=Tags(None, None, None, name)) as encoder:
            encoder.write(np.ascontiguousarray(samples.T / np.float32(65_536), np.float32))
        files[name] = (tmp_path / name).read_bytes()
    path = separated(shared, files, "ogg")
    alone = mixed(shared, path, "bass:0", "residual:0")
    np.testing.assert_allclose(alone, soundfile.read(tmp_path / "drums", dtype="float32")[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "fader",
    ["drums", "drums:", "drums:x", "drums:nan", "drums:inf", "drums:-1", "drums:5", "drums:1:2", "drums:1:0:0", ""],
)
def test_faders_that_are_none(shared: Server, song: tuple[str, object], fader: str) -> None:
    facts = problem(shared.client.get(song[0], params={"stem": fader}), 422, "invalid-request")
    assert "Write name:gain" in facts["detail"]


def test_other_mistakes(shared: Server, song: tuple[str, object]) -> None:
    facts = problem(shared.client.get(song[0], params={"stem": "piano:1"}), 422, "invalid-request")
    assert "it has drums, bass, residual" in facts["detail"]
    problem(shared.client.get(song[0], params={"master": "9"}), 422, "invalid-request")
    problem(shared.client.get(song[0], params=[("stem", "drums:1")] * 33), 422, "invalid-request")


def test_a_mix_beyond_4_gb_is_refused_at_once(shared: Server) -> None:
    path = separated(shared, {"drums": wav(sounds(2)["drums"])}, "wav", samples=2**30)
    assert "more than 4 GB" in problem(shared.client.get(path), 409, "conflict")["detail"]


@IN_FILES
def test_a_stem_that_is_gone_is_said(shared: Server) -> None:
    path = separated(shared, {"drums": wav(np.ones((LENGTH, 1), np.int16))}, "wav")
    task = shared.task(path.split("/")[3].replace("-", ""))
    stored = shared.service.store.local_path(task.stems[0].blob)
    assert stored is not None
    stored.unlink()
    problem(shared.client.get(path), 404, "not-found")
