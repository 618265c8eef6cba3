from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.encode import Encoder, Tags, nearest_rate
from stemwright.audio.formats import OutputFormat
from stemwright.audio.resample import resampled_length
from stemwright.errors import StorageError, UsageError
from tests.audio.signals import Samples, noise, offset, read, snr_db

TAGS = Tags(title="Größe", artist="Wer", album="Was", stem="vocals")
LOSSY_KBPS = {"mp3": None, "m4a": 256, "ogg": None, "opus": 192}


def lossless(name: str, bit_depth: int) -> OutputFormat:
    return OutputFormat(name, name, bit_depth, None, lossless=True)


def lossy(name: str, kbps: int | None = None) -> OutputFormat:
    return OutputFormat(name, name, None, kbps or LOSSY_KBPS[name], lossless=False)


def encode(
    path: Path, fmt: OutputFormat, samples: Samples | np.ndarray[tuple[int, int], np.dtype[np.int32]], rate: int
) -> tuple[str, ...]:
    with Encoder(path, fmt, sample_rate=rate, channels=samples.shape[0], tags=TAGS) as encoder:
        for start in range(0, samples.shape[1], 30011):  # no multiple of any codec's frame
            encoder.write(samples[:, start : start + 30011])
    return encoder.notes


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 70001])
@pytest.mark.parametrize(
    ("name", "bits"), [("wav", 16), ("wav", 24), ("aiff", 16), ("aiff", 24), ("flac", 16), ("flac", 24)]
)
def test_integers_are_written_bit_for_bit(tmp_path: Path, name: str, bits: int, samples: int, channels: int) -> None:
    top = 2 ** (bits - 1)
    values = np.random.default_rng(0).integers(-top, top, (channels, samples), dtype=np.int32)
    values[0, : min(2, samples)] = [-top, top - 1][: min(2, samples)]
    path = tmp_path / "out.part"
    assert encode(path, lossless(name, bits), values, 96000) == ()
    stored, rate = soundfile.read(path, dtype="int32", always_2d=True)  # another reader than ours
    assert rate == 96000
    assert np.array_equal(stored.T >> (32 - bits), values)
    given, source, notes = read(path)
    assert np.array_equal(given, (values / top).astype(np.float32))
    assert (source.bits, source.is_float, notes) == (bits, False, [])


@pytest.mark.parametrize("name", ["wav", "aiff"])
def test_float_is_written_bit_for_bit(tmp_path: Path, name: str) -> None:
    signal = noise(2, 70001) * 20  # beyond full scale
    path = tmp_path / "out.part"
    encode(path, lossless(name, 32), signal, 44100)
    given, source, _ = read(path)
    assert np.array_equal(given, signal)
    assert np.array_equal(soundfile.read(path, dtype="float32")[0].T, signal)
    assert (source.bits, source.is_float) == (32, True)


def test_wave_header_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    encode(path, lossless("wav", 16), np.zeros((2, 100), np.int32), 44100)
    data = path.read_bytes()
    assert data[:4] == b"RIFF" and data[8:12] == b"WAVE"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_aiff_does_not_pass_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwright.audio.ffmpeg_writer.AIFF_BYTES", 4000)
    with Encoder(tmp_path / "out", lossless("aiff", 16), sample_rate=44100, channels=2, tags=TAGS) as encoder:
        encoder.write(np.zeros((2, 1000), np.int32))
        with pytest.raises(UsageError, match="--format wav or flac"):
            encoder.write(np.zeros((2, 1), np.int32))


@pytest.mark.long
def test_wave_over_four_gigabytes_is_rf64(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    block = np.zeros((2, 1 << 24), np.float32)
    block[:, -1] = 0.5
    with Encoder(path, lossless("wav", 32), sample_rate=192000, channels=2, tags=TAGS) as encoder:
        for _ in range(33):
            encoder.write(block)
    with path.open("rb") as raw:
        assert raw.read(4) == b"RF64"
    with soundfile.SoundFile(path) as file:
        assert file.frames == 33 << 24
        file.seek(-1, soundfile.SEEK_END)
        assert file.read(1).tolist() == [[0.5, 0.5]]
    path.unlink()


@pytest.mark.parametrize("samples", [47, 1000, 1024, 1153, 4096, 96000, 100003])
@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (44100, 1)])
@pytest.mark.parametrize("name", LOSSY_KBPS)
def test_lossy_formats_keep_length_and_place(tmp_path: Path, name: str, rate: int, channels: int, samples: int) -> None:
    signal = noise(channels, samples)
    path = tmp_path / f"out.{name}"
    notes = encode(path, lossy(name), signal, rate)
    given, source, _ = read(path)
    assert source.sample_rate == (48000 if name == "opus" else rate)
    assert given.shape == (channels, resampled_length(samples, rate, source.sample_rate))
    if source.sample_rate == rate:
        assert notes == ()
        if samples > 10000:
            assert offset(given, signal) == 0
            assert snr_db(given, signal) > (3 if name == "opus" else 12)  # Opus does not follow the waveform
    else:
        assert notes == ("opus has no 44100 Hz: written at 48000 Hz.",)


@pytest.mark.parametrize("name", LOSSY_KBPS)
@pytest.mark.parametrize("rate", [8000, 37800, 96000, 192000])
def test_rates_that_a_lossy_format_has_not_got(tmp_path: Path, name: str, rate: int) -> None:
    signal = noise(2, rate)
    path = tmp_path / f"out.{name}"
    notes = encode(path, lossy(name), signal, rate)
    given, source, _ = read(path)
    assert source.sample_rate == nearest_rate(name, rate)
    assert given.shape == (2, source.sample_rate)
    assert bool(notes) == (source.sample_rate != rate)
    assert all(f"{rate} Hz" in note and f"{source.sample_rate} Hz" in note for note in notes)


@pytest.mark.parametrize(("name", "kbps"), [("mp3", 128), ("mp3", 320), ("m4a", 128), ("ogg", 128), ("opus", 96)])
def test_bitrate(tmp_path: Path, name: str, kbps: int) -> None:
    signal = np.random.default_rng(0).standard_normal((2, 480000)).astype(np.float32) * np.float32(0.1)
    path = tmp_path / f"out.{name}"
    encode(path, lossy(name, kbps), signal, 48000)
    assert path.stat().st_size * 8 / 10 / 1000 == pytest.approx(kbps, rel=0.3)


@pytest.mark.parametrize("name", ["wav", "flac", "aiff", *LOSSY_KBPS])
def test_tags_are_read_back(tmp_path: Path, name: str) -> None:
    import av

    path = tmp_path / f"out.{name}"
    if name in LOSSY_KBPS:
        encode(path, lossy(name), noise(2, 48000), 48000)
    else:
        encode(path, lossless(name, 24), np.zeros((2, 100), np.int32), 48000)
    _, source, _ = read(path)
    assert (source.title, source.artist, source.album) == ("Größe (vocals)", "Wer", "Was")
    with av.open(str(path)) as container:
        tags = {**container.metadata, **container.streams.audio[0].metadata}
    assert {key.lower(): value for key, value in tags.items()}["comment"] == "Stem: vocals"


def test_no_tags_but_the_stem() -> None:
    assert Tags(None, None, None, "bass").fields() == {"title": "bass", "comment": "Stem: bass"}


def test_a_block_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(TypeError),
        Encoder(tmp_path / "out.wav", lossless("wav", 16), sample_rate=44100, channels=2, tags=TAGS) as encoder,
    ):
        encoder.write(noise(2, 10))


def test_many_encoders_in_threads(tmp_path: Path) -> None:
    signal = noise(2, 50000)
    names = [*LOSSY_KBPS, "wav"] * 3

    def write(number: int) -> Samples:
        path = tmp_path / str(number)
        fmt = lossless("wav", 32) if names[number] == "wav" else lossy(names[number])
        encode(path, fmt, signal, 48000)
        return read(path)[0]

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(write, range(len(names))))
    for number, result in enumerate(results):
        assert np.array_equal(result, results[number % 5])
        assert result.shape == signal.shape


ALL_FORMATS = [("wav", 16), ("wav", 32), ("flac", 24), ("aiff", 16)] + [(name, None) for name in LOSSY_KBPS]

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from stemwright.audio.encode import Encoder, Tags
from stemwright.audio.formats import OutputFormat
from stemwright.errors import StorageError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
path, name, depth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) or None
block = np.random.default_rng(0).standard_normal((2, 96000)).astype(np.float32) / 10
if depth in (16, 24):
    block = (block * 30000).astype(np.int32)
fmt = OutputFormat(name, name, depth, None if depth else 192, depth is not None)
try:
    with Encoder(path, fmt, sample_rate=48000, channels=2, tags=Tags(None, None, None, "bass")) as encoder:
        encoder.write(block)
except StorageError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize(("name", "depth"), ALL_FORMATS)
def test_full_disk(tmp_path: Path, name: str, depth: int | None) -> None:
    path = tmp_path / "out.part"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), name, str(depth or 0)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 5, done.stderr
    assert done.stdout == f"No room is left to write {path}: free some space, or choose another folder.\n"
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("name", "depth"), ALL_FORMATS)
def test_dev_full(name: str, depth: int | None) -> None:
    fmt = lossy(name) if depth is None else lossless(name, depth)
    dtype = np.int32 if depth in (16, 24) else np.float32
    with (
        pytest.raises(StorageError, match="No room is left"),
        Encoder(Path("/dev/full"), fmt, sample_rate=48000, channels=2, tags=TAGS) as encoder,
    ):
        encoder.write(np.ones((2, 96000), dtype))


@pytest.mark.parametrize(("name", "depth"), ALL_FORMATS)
def test_nowhere_to_write(tmp_path: Path, name: str, depth: int | None) -> None:
    fmt = lossy(name) if depth is None else lossless(name, depth)
    with pytest.raises(StorageError, match="No such file"):
        Encoder(tmp_path / "no folder" / "out", fmt, sample_rate=48000, channels=2, tags=TAGS)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            Encoder(locked / "out", fmt, sample_rate=48000, channels=2, tags=TAGS)
    finally:
        if user == 0:
            os.seteuid(0)
