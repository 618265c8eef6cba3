"""Files that ``cat`` joined: all of each is read, at the rate of the first, whatever containers they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemwright.audio.containers import joined_files
from stemwright.audio.containers.joined_files import begins_file
from stemwright.audio.containers.parts import parts_of
from stemwright.audio.containers.pieces import Window
from tests.audio.byte_files import V1_TAG, id3_tag, join
from tests.audio.signals import Samples, noise, offset, read, write_av

SAMPLES = 6000
RATE = 44100
LOSSLESS = {
    "aiff": ("pcm_s16be", "s16", "aiff"),
    "au": ("pcm_s16be", "s16", "au"),
    "w64": ("pcm_s16le", "s16", "w64"),
    "caf": ("pcm_s16be", "s16", "caf"),
    "wv": ("wavpack", "s16p", "wv"),
    "tta": ("tta", "s16", "tta"),
    "mka": ("pcm_s16le", "s16", "matroska"),
    "avi": ("pcm_s16le", "s16", "avi"),
    "wav": ("pcm_s16le", "s16", "wav"),
    "flac": ("flac", "s16", "flac"),
}
LOSSY = {
    "m4a": ("aac", "fltp", "ipod"),
    "fragments.mp4": ("aac", "fltp", "mp4"),
    "webm": ("libopus", "flt", "webm"),
    "flv": ("aac", "fltp", "flv"),
    "wma": ("wmav2", "fltp", "asf"),
    "mp3": ("libmp3lame", "fltp", "mp3"),
    "aac": ("aac", "fltp", "adts"),
    "opus": ("libopus", "flt", "opus"),
}


def make(kind: str, path: Path, *, seed: int = 0, rate: int = RATE, channels: int = 2) -> Samples:
    """Write a file; what its sound was made from."""
    codec, sample_format, muxer = (LOSSLESS | LOSSY)[kind]
    signal = noise(channels, SAMPLES, seed)
    is_integer = sample_format.startswith("s16")
    write_av(
        path,
        (signal * 32767).astype(np.int16) if is_integer else signal,
        codec,
        sample_format=sample_format,
        muxer=muxer,
        rate=rate,
        layout="stereo" if channels == 2 else "mono",
        bit_rate=128_000 if kind == "wma" else None,
        options={"movflags": "frag_keyframe+empty_moov"} if kind == "fragments.mp4" else {},
    )
    if is_integer:
        signal = (signal * 32767).astype(np.int16).astype(np.float32) / np.float32(32768)
    return signal


@pytest.mark.parametrize("tags", [b"", V1_TAG, id3_tag(50)], ids=["bare", "v1", "id3"])
@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_files_come_one_after_the_other(tmp_path: Path, kind: str, tags: bytes) -> None:
    signals = [make(kind, tmp_path / f"{seed}", seed=seed) for seed in range(3)]
    joined = join(tmp_path / f"joined.{kind}", tmp_path / "0", tags, tmp_path / "1", tags, tmp_path / "2")
    given, _, notes = read(joined)
    np.testing.assert_array_equal(given, np.concatenate(signals, axis=1))
    assert notes == []


@pytest.mark.parametrize("kind", sorted(LOSSY))
def test_lossy_files_come_one_after_the_other(tmp_path: Path, kind: str) -> None:
    rate = 48000 if kind in ("webm", "opus") else RATE
    signals = [make(kind, tmp_path / f"{seed}", seed=seed, rate=rate) for seed in range(2)]
    alone = [read(tmp_path / f"{seed}")[0] for seed in range(2)]
    given, _, notes = read(join(tmp_path / f"joined.{kind}", tmp_path / "0", tmp_path / "1"))
    assert given.shape[1] == sum(one.shape[1] for one in alone)
    assert notes == []
    second = given[:, alone[0].shape[1] :]
    assert np.sum((second - alone[1]) ** 2) < 1e-3 * np.sum(alone[1] ** 2)
    assert offset(second, signals[1]) == offset(alone[1], signals[1])


@pytest.mark.parametrize("kind", [*LOSSLESS, "m4a", "flv"])
def test_a_file_of_another_rate_is_resampled_and_told(tmp_path: Path, kind: str) -> None:
    make(kind, tmp_path / "0")
    make(kind, tmp_path / "1", seed=1, rate=22050, channels=1)
    alone = [read(tmp_path / name)[0].shape[1] for name in "01"]
    given, format_, notes = read(join(tmp_path / f"joined.{kind}", tmp_path / "0", tmp_path / "1"))
    assert format_.sample_rate == RATE
    assert abs(given.shape[1] - alone[0] - 2 * alone[1]) <= 1
    assert any("changes from 44100 to 22050 Hz" in note for note in notes)
    assert any("number of channels changes" in note for note in notes)


@pytest.mark.parametrize("second", ["wav", "aiff", "flac", "mp3", "aac", "m4a", "opus", "mka"])
@pytest.mark.parametrize("first", ["wav", "aiff", "flac", "mp3", "aac", "m4a", "opus", "wv"])
def test_files_of_two_kinds(tmp_path: Path, first: str, second: str) -> None:
    if (first, second) == ("flac", "aac"):
        pytest.skip("the end of a FLAC file and the start of ADTS can both be any bytes")
    make(first, tmp_path / "0", rate=48000)
    make(second, tmp_path / "1", seed=1, rate=48000)
    alone = [read(tmp_path / name)[0] for name in "01"]
    given, _, notes = read(join(tmp_path / f"joined.{first}", tmp_path / "0", tmp_path / "1"))
    assert notes == []
    if first == second == "aac":  # one stream: its second file needs no start of its own
        assert given.shape[1] == sum(one.shape[1] for one in alone)
        return
    np.testing.assert_allclose(given, np.concatenate(alone, axis=1), atol=1e-4)


def test_a_size_that_was_left_open_hides_nothing_that_can_be_found(tmp_path: Path) -> None:
    """Recorders of browsers write segments and clusters without sizes."""
    make("webm", tmp_path / "0", rate=48000)
    content = (tmp_path / "0").read_bytes()
    for name in (b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"):
        at = content.index(name) + 4
        content = content[:at] + b"\x01" + b"\xff" * 7 + content[at + (9 - content[at].bit_length()) :]
    alone = read(tmp_path / "0")[0].shape[1]
    given, _, _ = read(join(tmp_path / "joined.webm", content, content))
    assert given.shape[1] == 2 * alone


@pytest.mark.parametrize("kind", LOSSLESS)
def test_junk_behind_a_file_is_no_sound(tmp_path: Path, kind: str) -> None:
    signal = make(kind, tmp_path / "0")
    junk = np.random.default_rng(0).bytes(3000)
    given, _, _ = read(join(tmp_path / f"joined.{kind}", tmp_path / "0", junk))
    np.testing.assert_array_equal(given, signal)


def test_a_picture_of_a_flac_is_no_file(tmp_path: Path) -> None:
    signal = make("flac", tmp_path / "0")
    make("wav", tmp_path / "1")
    content = (tmp_path / "0").read_bytes()
    inner = (tmp_path / "1").read_bytes()
    block = b"\x02" + (len(inner) + 4).to_bytes(3, "big") + b"riff" + inner  # of `flac --keep-foreign-metadata`
    joined = join(tmp_path / "song.flac", content[:42].replace(b"\x80\0\0\x22", b"\0\0\0\x22"), block, content[42:])
    given, _, notes = read(joined)
    np.testing.assert_array_equal(given, signal)
    assert notes == []
    assert len(parts_of(joined)) == 1


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_a_file_that_is_cut_within_its_header_is_one(tmp_path: Path, kind: str) -> None:
    make(kind, tmp_path / "0", rate=48000)
    path = tmp_path / f"cut.{kind}"
    for n_bytes in range(4, 64, 3):
        path.write_bytes((tmp_path / "0").read_bytes()[:n_bytes])
        assert len(parts_of(path)) == 1


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_zeros_behind_a_file_are_not_walked_through(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million empty chunks took half a minute."""
    make(kind, tmp_path / "0", rate=48000)
    n_looked = 0

    def count(window: Window, offset: int) -> bool:
        nonlocal n_looked
        n_looked += 1
        return begins_file(window, offset)

    monkeypatch.setattr(joined_files, "begins_file", count)
    assert parts_of(join(tmp_path / f"filled.{kind}", tmp_path / "0", bytes(100_000)))
    assert n_looked < 500
