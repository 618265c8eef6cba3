from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.containers import mpeg
from stemwright.audio.containers.parts import parts_of
from tests.audio.byte_files import APE_FOOTER, V1_TAG, id3_tag, join, put
from tests.audio.signals import Samples, noise, offset, read, write_av

SAMPLES = 30001


def mp3(path: Path, rate: int = 44100, channels: int = 2, samples: int = SAMPLES, **options: str) -> Path:
    layout = "mono" if channels == 1 else "stereo"
    write_av(path, noise(channels, samples), "libmp3lame", rate=rate, layout=layout, options=options)
    return path


@pytest.mark.parametrize("between", [b"", V1_TAG, APE_FOOTER, APE_FOOTER + V1_TAG, id3_tag(70_000)])
@pytest.mark.parametrize("rate", [44100, 22050])
def test_joined_files_keep_their_own_lengths(tmp_path: Path, rate: int, between: bytes) -> None:
    path = mp3(tmp_path / "one.mp3", rate)
    alone = read(path)[0]
    given, source, notes = read(join(tmp_path / "both.mp3", path, between, path, between))
    assert np.array_equal(given, np.tile(alone, 2)) and notes == []
    assert source.duration_s == pytest.approx(2 * SAMPLES / rate, abs=0.001)


@pytest.mark.parametrize("between", [b"", V1_TAG, id3_tag(70)])
def test_long_files_are_scanned_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: bytes) -> None:
    path = mp3(tmp_path / "one.mp3", samples=2 * SAMPLES)
    both = join(tmp_path / "both.mp3", path, between, path, mp3(tmp_path / "mono.mp3", channels=1), between)
    careful = parts_of(both)
    assert len(careful) == 3
    monkeypatch.setattr(mpeg, "WINDOW_BYTES", 4096)  # else only what is longer takes the quick way
    assert parts_of(both) == careful


def test_joined_files_of_other_rates_and_channels(tmp_path: Path) -> None:
    paths = [
        mp3(tmp_path / "a.mp3"),
        mp3(tmp_path / "b.mp3", 48000),
        mp3(tmp_path / "c.mp3", 22050, 1),
    ]
    given, source, notes = read(join(tmp_path / "all.mp3", *paths))
    assert given.shape == (2, SAMPLES + round(SAMPLES * 44100 / 48000) + 2 * SAMPLES)
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.001)
    assert [note.split(" Hz at")[0] for note in notes] == [
        "The sample rate of the file changes from 44100 to 48000",
        "The number of channels changes in the file: all was brought to that of its start.",
        "The sample rate of the file changes from 44100 to 22050",
    ]


@pytest.mark.parametrize("between", [b"", V1_TAG, APE_FOOTER, id3_tag(200)])
def test_tags_between_frames_without_info(tmp_path: Path, between: bytes) -> None:
    """One decoder goes on: a tag in the midst of a stream, as broadcasts have it, costs nothing."""
    path = mp3(tmp_path / "one.mp3", write_xing="0", id3v2_version="0")
    alone = read(path)[0]
    given, _, notes = read(join(tmp_path / "both.mp3", path, between, path))
    assert given.shape[1] == 2 * alone.shape[1] and notes == []


@pytest.mark.parametrize("frames", [0, 1, 5, 10**6, 2**32 - 1])
def test_a_count_of_frames_that_lies_drops_no_sound(tmp_path: Path, frames: int) -> None:
    path = mp3(tmp_path / "in.mp3")
    whole = read(path)[0]
    put(path, path.read_bytes().index(b"Info") + 8, struct.pack(">I", frames))
    given, source, notes = read(path)
    assert np.array_equal(given[:, :SAMPLES], whole) and given.shape[1] < SAMPLES + 1152
    assert source.duration_s == pytest.approx(SAMPLES / 44100, abs=0.05)
    assert notes == []


def test_padding_that_no_encoder_adds_is_ignored(tmp_path: Path) -> None:
    path = mp3(tmp_path / "in.mp3")
    whole = read(path)[0]
    at = path.read_bytes().index(b"Lav", path.read_bytes().index(b"Info")) + 21
    put(path, at, b"\xff\xff\xff")
    given, _, notes = read(path)
    late = offset(given, whole)
    assert np.array_equal(given[:, late : late + SAMPLES], whole)
    assert len(notes) == 1 and "more padding" in notes[0]


def test_a_file_that_is_cut_says_so(tmp_path: Path) -> None:
    path = mp3(tmp_path / "in.mp3", samples=5 * SAMPLES)
    data = path.read_bytes()
    given, source, notes = read(join(tmp_path / "half.mp3", data[: len(data) // 2]))
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.1)
    assert (
        len(notes) == 1 and notes[0].startswith("The file ends early") and notes[0].endswith("of 3.4 s could be read.")
    )


def variable(path: Path) -> Path:
    """An MP3 of variable bit rate, as libsndfile writes it: loud and quiet by turns."""
    signal = noise(2, 5 * SAMPLES)
    signal[:, 20000:40000] *= 0.001
    signal[:, 90000:] *= 0.01
    soundfile.write(path, signal.T, 44100, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    return path


def constant(path: Path) -> Path:
    return mp3(path, samples=5 * SAMPLES)


def without_info(path: Path) -> Path:
    return mp3(path, samples=5 * SAMPLES, write_xing="0", id3v2_version="0")


def layer_2(path: Path) -> Path:
    write_av(path, (noise(2, 5 * SAMPLES) * 32767).astype(np.int16), "mp2", sample_format="s16", muxer="mp2")
    return path


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Samples]]:
    """MP3s of 3.4 s, and what they decode to."""
    path = tmp_path_factory.mktemp("songs") / "in.mp3"
    return {make.__name__: (make(path).read_bytes(), read(path)[0]) for make in MAKERS}


MAKERS = [variable, constant, without_info, layer_2]


@pytest.mark.parametrize("kind", [make.__name__ for make in MAKERS])
@pytest.mark.parametrize(("size", "is_random"), [(1000, False), (1000, True), (2500, False), (12000, True)])
def test_what_follows_damage_stays_in_its_place(
    tmp_path: Path, songs: dict[str, tuple[bytes, Samples]], kind: str, size: int, is_random: bool
) -> None:
    """Where frames are overwritten, as many silent ones take their place."""
    data, whole = songs[kind]
    path = join(tmp_path / "in.mp3", data)
    put(path, len(data) // 3, np.random.default_rng(size).bytes(size) if is_random else bytes(size))
    given, source, notes = read(path)
    assert given.shape == whole.shape and source.duration_s == pytest.approx(whole.shape[1] / 44100, abs=0.05)
    assert len(notes) == 1 and "replaced by silence" in notes[0]
    # FFmpeg's decoder of layer 2 dithers, and the silent frames change its random numbers.
    damaged = np.flatnonzero((np.abs(given - whole) > (1e-4 if kind == "layer_2" else 0)).any(axis=0))
    assert damaged[0] > 30000 and damaged[-1] < given.shape[1] - 50000
    silence_s = float(notes[0].split(", ")[1].split()[0])
    assert silence_s <= (damaged[-1] - damaged[0]) / 44100 + 0.01


@pytest.mark.parametrize("kind", ["constant", "without_info"])
def test_several_damages(tmp_path: Path, songs: dict[str, tuple[bytes, Samples]], kind: str) -> None:
    data, whole = songs[kind]
    path = join(tmp_path / "in.mp3", data)
    size = path.stat().st_size
    for part in (4, 5, 6):
        put(path, size * part // 10, bytes(3000))
    given, _, notes = read(path)
    assert given.shape == whole.shape and len(notes) == 1
    places = np.flatnonzero((given == whole).all(axis=0))
    for part in (3, 7, 9):  # between and behind them
        start = given.shape[1] * part // 10
        assert np.isin(np.arange(start, start + 1000), places).all()


def test_damage_of_variable_bit_rate_is_shared_by_the_mean(
    tmp_path: Path, songs: dict[str, tuple[bytes, Samples]]
) -> None:
    data, whole = songs["variable"]
    path = join(tmp_path / "in.mp3", data)
    size = path.stat().st_size
    put(path, size // 4, bytes(2000))
    put(path, size // 2, bytes(1000))
    given = read(path)[0]
    assert given.shape == whole.shape and np.array_equal(given[:, -50000:], whole[:, -50000:])


@pytest.mark.parametrize("inserted", [b"", bytes(1500)])
def test_an_info_frame_counts_what_was_taken_out_or_put_in(
    tmp_path: Path, songs: dict[str, tuple[bytes, Samples]], inserted: bytes
) -> None:
    data, whole = songs["constant"]
    half = len(data) // 2
    given = read(join(tmp_path / "changed.mp3", data[:half], inserted, data[half + (0 if inserted else 300) :]))[0]
    assert given.shape == whole.shape and np.array_equal(given[:, -50000:], whole[:, -50000:])


def test_damage_in_a_joined_file(tmp_path: Path, songs: dict[str, tuple[bytes, Samples]]) -> None:
    data, alone = songs["constant"]
    path, second = join(tmp_path / "in.mp3", data), mp3(tmp_path / "second.mp3", 48000)
    put(path, path.stat().st_size // 2, bytes(5000))
    given = read(join(tmp_path / "all.mp3", path, path, second))[0]
    assert given.shape == (2, 10 * SAMPLES + round(SAMPLES * 44100 / 48000))
    for start in (0, 5 * SAMPLES):
        assert np.array_equal(given[:, start + 110_000 : start + 5 * SAMPLES], alone[:, 110_000:])


def test_much_damage_takes_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = without_info(tmp_path / "in.mp3")
    end = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(60_000_000)
        file.seek(0, 2)
        file.write(end)
    tracemalloc.start()
    parts = parts_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parts[0].silence_s > 3000 and peak < 5_000_000


def id3_that_claims(size: int) -> bytes:
    """A tag of 50 bytes that claims ``size``."""
    return b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(50)


def ape_that_claims(size: int) -> bytes:
    return b"APETAGEX" + struct.pack("<4I", 2000, size, 0, 1 << 29) + bytes(8)


@pytest.mark.parametrize("with_info", ["1", "0"], ids=["info", "plain"])
@pytest.mark.parametrize("claimed", [1000, 7777, 10**6, 2**27])
@pytest.mark.parametrize("tag", [id3_that_claims, ape_that_claims])
def test_a_tag_that_claims_more_than_it_has_hides_no_sound(
    tmp_path: Path, tag: Callable[[int], bytes], claimed: int, with_info: str
) -> None:
    """Sound behind it was lost without a note, or the file was refused."""
    path = tmp_path / "in.mp3"
    write_av(path, noise(2, 30000), "libmp3lame", muxer="mp3", options={"write_xing": with_info, "id3v2_version": "0"})
    plain, _, _ = read(path)
    sound = path.read_bytes()
    given, _, notes = read(join(tmp_path / "front.mp3", tag(claimed), sound))
    assert np.array_equal(given, plain) and notes == []
    if with_info == "1":
        joined, _, _ = read(join(tmp_path / "joined.mp3", sound, tag(claimed), sound))
        assert np.array_equal(joined, np.concatenate([plain, plain], axis=1))


def test_sound_within_a_tag_is_none(tmp_path: Path) -> None:
    path = tmp_path / "in.mp3"
    write_av(path, noise(2, 30000), "libmp3lame", muxer="mp3", options={"id3v2_version": "0"})
    plain, _, _ = read(path)
    sound = path.read_bytes()
    frame = b"GEOB" + struct.pack(">I", len(sound) + 4) + b"\0\0" + b"\0\0\0\0" + sound
    tag = b"ID3\3\0\0" + bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0)) + frame
    given, _, notes = read(join(tmp_path / "tagged.mp3", tag, sound))
    assert np.array_equal(given, plain) and notes == []
