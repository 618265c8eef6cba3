from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.containers.ogg import page_checksum
from tests.audio.byte_files import V1_TAG, change_page, id3_tag, join, put
from tests.audio.signals import noise, offset, read, snr_db, write_av

SAMPLES = 30001


def vorbis(path: Path, rate: int = 44100, channels: int = 2, samples: int = SAMPLES) -> Path:
    soundfile.write(path, noise(channels, samples).T, rate, format="OGG", subtype="VORBIS")
    return path


def opus(path: Path, channels: int = 2, samples: int = SAMPLES) -> Path:
    layout = "mono" if channels == 1 else "stereo"
    write_av(path, noise(channels, samples), "libopus", rate=48000, sample_format="flt", layout=layout, muxer="opus")
    return path


def flac(path: Path, rate: int = 44100, samples: int = SAMPLES) -> Path:
    values = (noise(2, samples) * 32767).astype(np.int16)
    write_av(path, values, "flac", rate=rate, sample_format="s16", muxer="ogg")
    return path


@pytest.mark.parametrize("make", [vorbis, opus, flac])
def test_no_gap_and_no_click_at_the_joints_of_a_chain(tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = make(tmp_path / "one.ogg")
    alone = read(path)[0]
    given, source, notes = read(join(tmp_path / "chain.ogg", path, path, path))
    assert np.array_equal(given, np.tile(alone, 3)) and notes == []
    assert source.duration_s == pytest.approx(3 * SAMPLES / source.sample_rate, abs=0.001)
    assert alone.shape == (2, SAMPLES) and offset(alone, noise(2, SAMPLES)) == 0


def test_links_of_other_rates_and_codecs_are_brought_to_the_first_ones(tmp_path: Path) -> None:
    links = [
        vorbis(tmp_path / "a.ogg"),
        vorbis(tmp_path / "b.ogg", 48000),
        opus(tmp_path / "c.opus"),
        flac(tmp_path / "d.oga"),
    ]
    given, source, notes = read(join(tmp_path / "chain.ogg", *links))
    assert given.shape[1] == 2 * SAMPLES + round(2 * SAMPLES * 44100 / 48000)
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.001)
    assert len(notes) == 1 and notes[0].startswith(
        "The sample rate of the file changes from 44100 to 48000 Hz at 0.7 s"
    )
    last = given[:, -SAMPLES:]
    assert offset(last, noise(2, SAMPLES)) == 0 and snr_db(last, noise(2, SAMPLES)) > 40


@pytest.mark.parametrize("make", [vorbis, opus])
def test_links_of_other_channels(tmp_path: Path, make: object) -> None:
    assert callable(make)
    stereo, mono = make(tmp_path / "a.ogg"), make(tmp_path / "b.ogg", channels=1)
    for links, channels in (((stereo, mono), 2), ((mono, stereo), 1)):
        given, _, notes = read(join(tmp_path / "chain.ogg", *links))
        assert given.shape == (channels, 2 * SAMPLES)
        assert len(notes) == 1 and "number of channels changes" in notes[0]


def test_links_of_one_sample(tmp_path: Path) -> None:
    one, song = vorbis(tmp_path / "one.ogg", samples=1), vorbis(tmp_path / "song.ogg")
    assert read(join(tmp_path / "chain.ogg", one, one, song, one))[0].shape == (2, SAMPLES + 3)


def test_tags_around_links_are_no_damage(tmp_path: Path) -> None:
    song = vorbis(tmp_path / "song.ogg")
    given, _, notes = read(join(tmp_path / "chain.ogg", id3_tag(100), song, id3_tag(500), song, V1_TAG))
    assert given.shape == (2, 2 * SAMPLES) and notes == []


def test_a_link_that_is_cut_off_costs_the_next_nothing(tmp_path: Path) -> None:
    song = vorbis(tmp_path / "song.ogg", samples=10 * SAMPLES)
    half = song.read_bytes()[: song.stat().st_size // 2]
    whole = read(song)[0]
    given = read(join(tmp_path / "chain.ogg", half, song))[0]
    assert np.array_equal(given[:, -10 * SAMPLES :], whole) and given.shape[1] > 11 * SAMPLES


def test_a_link_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    song = vorbis(tmp_path / "song.ogg")
    broken = bytearray(song.read_bytes())
    at = broken.index(b"\x05vorbis")
    broken[at : at + 3000] = bytes(3000)
    given, _, notes = read(join(tmp_path / "chain.ogg", song, bytes(broken), song))
    assert given.shape == (2, 2 * SAMPLES)
    assert notes == ["A part of the file, at 0.7 s, cannot be read: it was left out."]


@pytest.mark.parametrize("position", [0, 5, 20000])
@pytest.mark.parametrize("times", [1, 2])
def test_an_end_of_opus_that_contradicts_its_packets_drops_no_sound(tmp_path: Path, position: int, times: int) -> None:
    path = opus(tmp_path / "in.opus", samples=4 * SAMPLES)
    whole = read(path)[0]
    change_page(path, -1, 6, struct.pack("<q", position))
    given, source, notes = read(join(tmp_path / "all.opus", *[path] * times))
    assert np.array_equal(given[:, : 4 * SAMPLES], whole)
    assert given.shape[1] < times * (4 * SAMPLES + 5760)
    assert source.duration_s == pytest.approx(given.shape[1] / 48000, abs=0.01)
    assert len(notes) == 1 and "contradicts its packets" in notes[0]


@pytest.mark.parametrize("less", [7000, 50000, 4 * SAMPLES - 5])
def test_an_end_of_vorbis_that_contradicts_its_packets_drops_no_sound(tmp_path: Path, less: int) -> None:
    path = vorbis(tmp_path / "in.ogg", samples=4 * SAMPLES)
    whole = read(path)[0]
    change_page(path, -1, 6, struct.pack("<q", 4 * SAMPLES - less))
    given, _, notes = read(path)
    assert np.array_equal(given[:, : 4 * SAMPLES], whole)
    assert len(notes) == 1 and "contradicts its packets" in notes[0]


@pytest.mark.parametrize("position", [-1, 0])
@pytest.mark.parametrize("samples", [100, SAMPLES, 4 * SAMPLES, 118_000])
@pytest.mark.parametrize("times", [1, 2])
def test_an_end_of_vorbis_without_a_position_drops_no_sound(
    tmp_path: Path, samples: int, position: int, times: int
) -> None:
    path = vorbis(tmp_path / "in.ogg", samples=samples)
    whole = read(path)[0]
    change_page(path, -1, 6, struct.pack("<q", position))
    given, _, notes = read(join(tmp_path / "all.ogg", *[path] * times))
    assert np.array_equal(given[:, :samples], whole)
    assert times * samples <= given.shape[1] < times * (samples + 2048)
    assert len(notes) == 1 and "no position" in notes[0]


def test_an_end_of_opus_without_a_position_is_told(tmp_path: Path) -> None:
    path = opus(tmp_path / "in.opus", samples=4 * SAMPLES)
    change_page(path, -1, 6, struct.pack("<q", -1))
    assert len(read(path)[2]) == 1


def test_a_long_pre_skip_of_opus_is_followed_and_told(tmp_path: Path) -> None:
    path = opus(tmp_path / "in.opus", samples=4 * SAMPLES)
    change_page(path, 0, 28 + 10, struct.pack("<H", 24000 + 312))
    given, _, notes = read(path)
    assert given.shape[1] == 4 * SAMPLES - 24000
    assert notes == ["The header of the Opus stream leaves out its first 0.5 s: it was followed."]


@pytest.mark.parametrize("make", [vorbis, opus, flac])
@pytest.mark.parametrize("size", [300, 3000, 12000])
@pytest.mark.parametrize("times", [1, 2])
def test_what_follows_damaged_pages_stays_in_its_place(tmp_path: Path, make: object, size: int, times: int) -> None:
    assert callable(make)
    samples = 8 * SAMPLES
    path = make(tmp_path / "in.ogg", samples=samples)
    whole = read(path)[0]
    put(path, path.stat().st_size // 3, bytes(size))
    given, source, notes = read(join(tmp_path / "all.ogg", *[path] * times))
    assert given.shape == (2, times * samples)
    assert source.duration_s == pytest.approx(times * samples / source.sample_rate, abs=0.01)
    for start in range(0, times * samples, samples):
        link = given[:, start : start + samples]
        assert np.array_equal(link[:, :10000], whole[:, :10000])
        error = np.abs(link[:, -SAMPLES:] - whole[:, -SAMPLES:])  # Opus remembers what was before
        assert error.max() < (1e-3 if make is opus else 1e-9)
    assert len(notes) == 1 and "replaced by silence" in notes[0]


@pytest.mark.parametrize("make", [vorbis, opus, flac])
def test_a_last_page_that_is_damaged_or_cut_is_told(tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = make(tmp_path / "in.ogg", samples=4 * SAMPLES)
    data = path.read_bytes()
    for changed in (data[:-50], data[:-50] + bytes(50)):
        given, _, notes = read(join(tmp_path / "changed.ogg", changed))
        assert given.shape[1] < 4 * SAMPLES + 100
        assert notes == ["The last page of the Ogg stream is damaged: its sound, a second at most, is missing."]


def test_the_checksum_of_a_page(tmp_path: Path) -> None:
    data = vorbis(tmp_path / "in.ogg").read_bytes()
    assert page_checksum(data[:58]) == data[22:26]  # the first page is one packet of 30 bytes
