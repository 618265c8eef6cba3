"""The clients' methods for what the server makes of a separation."""

from __future__ import annotations

import asyncio
import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.peaks import read_peaks
from stemwright.audio.stem_mp4 import read_stem_box
from stemwright.client import (
    AsyncClient,
    Client,
    InvalidRequestError,
    NotFoundError,
    Rendering,
    RenderingFailedError,
    Separation,
    WaitTimeoutError,
)
from stemwright.errors import UsageError
from stemwright.service.errors import PreviewUnavailable
from tests.api.conftest import Server
from tests.api.test_mixdown import LENGTH, RATE, separated, sounds, wav

GROUPS = {"Beat": ["drums"], "Low": ["bass"], "Rest": ["residual"], "None": []}


@pytest.fixture(scope="module")
def separation(shared: Server) -> Separation:
    """Drums, bass and the rest, of 12 s."""
    path = separated(shared, {name: wav(samples) for name, samples in sounds(2).items()}, "wav")
    with Client(shared.url, key=shared.key, timeout_s=240) as client:
        return client.separation(path.split("/")[3])


def test_files(shared: Server, separation: Separation, tmp_path: Path) -> None:
    parts = {name: samples / 32_768 for name, samples in sounds(2).items()}
    with Client(shared.url, key=shared.key, timeout_s=240) as client:
        mixed, rate = soundfile.read(
            client.download_mixdown(separation, tmp_path / "a.wav", gains={"drums": 0.5}, pans={"bass": 0.0}, master=2)
        )
        assert rate == RATE
        np.testing.assert_allclose(mixed, parts["drums"] + 2 * (parts["bass"] + parts["residual"]), atol=1e-6)
        karaoke = soundfile.read(client.download_karaoke(separation, tmp_path / "b.wav"))[0]
        np.testing.assert_allclose(karaoke, sum(parts.values()), atol=1e-6)
        with zipfile.ZipFile(client.download_daw_set(separation, tmp_path / "c.zip")) as archive:
            assert [Path(name).suffix for name in archive.namelist()] == [".wav"] * 3 + [".rpp"]
        with zipfile.ZipFile(client.download_zip(separation.id, tmp_path / "d.zip")) as archive:
            assert len(archive.namelist()) == 3
        out = client.download_stem_file(separation, tmp_path / "e.stem.mp4", groups=GROUPS, lossless=True)
        assert [stem["name"] for stem in read_stem_box(out)["stems"]] == list(GROUPS)
        client.download_stem_file(separation, tmp_path / "f.stem.mp4")
        with pytest.raises(InvalidRequestError, match="four groups"):
            client.download_stem_file(separation, tmp_path / "g.stem.mp4", groups={"All": ["drums"]})
    assert not (tmp_path / "g.stem.mp4").exists()


def test_what_a_player_needs(shared: Server, separation: Separation) -> None:
    with Client(shared.url, key=shared.key, timeout_s=240) as client:
        assert read_peaks(client.peaks(separation, "bass"))[:2] == (RATE, LENGTH)
        segment = soundfile.read(io.BytesIO(client.segment(separation, 1, "drums")))[0]
        short = soundfile.read(io.BytesIO(client.segment(separation, 5, "drums", short=True)))[0]
        np.testing.assert_array_equal(short, segment[:RATE])
        np.testing.assert_array_equal(segment, sounds(2)["drums"][5 * RATE : 10 * RATE] / 32_768)
        assert client.peaks(separation) != client.peaks(separation, "drums")
        facts = client.spectrogram(separation, "drums")
        assert facts.samples == LENGTH and facts.levels[-1].tiles == 1
        tile = client.spectrogram_tile(separation, 0, 1, "drums")
        assert tile.startswith(b"\x89PNG") and tile != client.spectrogram_tile(separation, 0, 0, "drums")
        taken = client.spectrogram(separation, "drums", taken=True)
        assert taken.rows == facts.rows
        assert client.spectrogram_tile(separation, 0, 1, "drums", taken=True) != tile
        with pytest.raises(NotFoundError):
            client.segment(separation, 9, "drums")
        with pytest.raises(NotFoundError):
            client.peaks(separation, "piano")
        with pytest.raises(NotFoundError):
            client.spectrogram_tile(separation, 20, 0)
        with pytest.raises(UsageError):
            client.segment(separation, -1)
        with pytest.raises(UsageError):
            client.download_mixdown(separation, "x.wav", gains={"drums": "loud"})  # type: ignore[dict-item]


def test_another_speed_and_key(shared: Server, separation: Separation, tmp_path: Path) -> None:
    length = round(LENGTH / 1.5)
    states: list[Rendering] = []
    with Client(shared.url, key=shared.key, timeout_s=240) as client:
        made = client.render(separation, speed=1.5, semitones=-1, poll_s=0.05, on_progress=states.append)
        assert (made.speed, made.semitones, made.samples, made.sample_rate) == (1.5, -1, length, RATE)
        assert [now.state for now in states][-1] == "succeeded" and states[0].created_at == made.created_at
        assert client.renderings(separation) == [made] == [client.rendering(separation, speed=1.5, semitones=-1)]
        mix = client.download_mixdown(separation, tmp_path / "a.wav", speed=1.5, semitones=-1)
        assert soundfile.info(mix).frames == length
        assert read_peaks(client.peaks(separation, "bass", speed=1.5, semitones=-1))[1] == length
        assert client.segment(separation, 0, "bass", speed=1.5, semitones=-1) != client.segment(separation, 0, "bass")
        with zipfile.ZipFile(client.download_zip(separation, tmp_path / "b.zip", speed=1.5, semitones=-1)) as archive:
            assert len(archive.namelist()) == 3
        assert client.download_daw_set(separation, tmp_path / "c.zip", speed=1.5, semitones=-1).exists()
        client.delete_rendering(separation, speed=1.5, semitones=-1)
        with pytest.raises(NotFoundError, match="no rendering"):
            client.rendering(separation, speed=1.5, semitones=-1)
        with pytest.raises(InvalidRequestError):
            client.render(separation, speed=3)
        with pytest.raises(UsageError):
            client.render(separation, speed="fast")  # type: ignore[arg-type]


def test_a_rendering_that_fails_or_takes_too_long(
    shared: Server, separation: Separation, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def fail(_parts: object, **_: object) -> list[str]:
        assert go_on.wait(240)
        raise PreviewUnavailable("This file cannot be read.")

    monkeypatch.setattr(shared.service.previews, "render", fail)
    with Client(shared.url, key=shared.key, timeout_s=240) as client:
        with pytest.raises(WaitTimeoutError, match="The rendering has not ended"):
            client.render(separation, speed=0.9, timeout_s=0.01, poll_s=0.01)
        go_on.set()
        with pytest.raises(RenderingFailedError, match="This file cannot be read"):
            client.render(separation, speed=0.9, poll_s=0.01)


def test_async(shared: Server, separation: Separation, tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(shared.url, key=shared.key, timeout_s=240) as client:
            assert soundfile.info(await client.download_karaoke(separation, tmp_path / "a.wav")).frames == LENGTH
            assert zipfile.is_zipfile(await client.download_daw_set(separation, tmp_path / "b.zip"))
            assert zipfile.is_zipfile(await client.download_zip(separation, tmp_path / "c.zip"))
            assert read_stem_box(await client.download_stem_file(separation, tmp_path / "d.stem.mp4"))["version"] == 1
            assert read_peaks(await client.peaks(separation, "bass"))[1] == LENGTH
            assert soundfile.info(io.BytesIO(await client.segment(separation, 2, "bass"))).samplerate == RATE
            made = await client.render(separation, speed=2, poll_s=0.05)
            assert made in await client.renderings(separation)
            assert await client.rendering(separation, speed=2) == made
            assert soundfile.info(io.BytesIO(await client.segment(separation, 0, "bass", speed=2))).frames == 5 * RATE
            await client.delete_rendering(separation, speed=2)
            assert (await client.spectrogram(separation)).sample_rate > 0
            assert (await client.spectrogram_tile(separation, 0, 0, "bass")).startswith(b"\x89PNG")

    asyncio.run(run())
