from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.decode import Decoder, probe
from stemwright.errors import UnreadableInputError
from tests.audio.signals import noise, offset, read, write_av


def refusal(path: Path) -> str:
    """What the user is told; probing and decoding both must refuse, with exit code 3."""
    with pytest.raises(UnreadableInputError) as caught, Decoder(path) as decoder:
        list(decoder)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert path.name in message and message.endswith(".") and ":" in message
    return message


def test_missing(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.wav")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    assert "is empty" in refusal(path)


def test_not_a_regular_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    assert "not a regular file" in refusal(path)


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "m4a", "ogg"])
def test_text_with_the_name_of_a_song(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"lyrics.{suffix}"
    path.write_text("la la la, this is not a sound\n" * 300)
    assert "not an audio file" in refusal(path) or suffix == "flac"  # FFmpeg takes any text for a FLAC without frames


@pytest.mark.parametrize("suffix", ["mp3", "m3u8", "ffconcat"])
def test_a_playlist_opens_no_other_file(tmp_path: Path, song: Path, suffix: str) -> None:
    path = tmp_path / f"list.{suffix}"
    if suffix == "ffconcat":
        path.write_text(f"ffconcat version 1.0\nfile {song.name}\n")
    else:
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{song.name}\n#EXT-X-ENDLIST\n")
    assert "not an audio file" in refusal(path)


def test_no_sound_track(tmp_path: Path) -> None:
    import av

    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    assert "no audio track" in refusal(path)


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_zero_samples(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"nothing.{suffix}"
    soundfile.write(path, np.zeros((0, 2)), 44100)
    assert "zero samples" in refusal(path)
    with pytest.raises(UnreadableInputError):
        probe(path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_values_that_are_not_finite(tmp_path: Path, value: float, subtype: str) -> None:
    signal = noise(2, 100000)
    signal[1, 66150] = value
    signal[0, 90000] = value
    path = tmp_path / "in.wav"
    soundfile.write(path, signal.T, 44100, subtype=subtype)
    assert "at 1.500 s" in refusal(path)


def test_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "bought.m4a"
    write_av(path, noise(2, 50000), "aac", muxer="ipod")
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"drms"))
    assert "encrypted" in refusal(path)


def test_changed_channels(tmp_path: Path) -> None:
    parts = []
    for layout, channels in (("stereo", 2), ("mono", 1)):
        part = tmp_path / f"{layout}.mp3"
        write_av(part, noise(channels, 44100), "libmp3lame", layout=layout, options={"write_xing": "0"})
        parts.append(part.read_bytes())
    path = tmp_path / "both.mp3"
    path.write_bytes(b"".join(parts))
    given, _, notes = read(path)
    assert given.shape[0] == 2 and given.shape[1] > 2 * 44100
    assert np.array_equal(given[0, -20000:], given[1, -20000:])
    assert any("number of channels changes" in note for note in notes)


def test_a_sample_rate_beyond_all_recorders(tmp_path: Path) -> None:
    path = tmp_path / "fast.wav"
    soundfile.write(path, np.zeros(1000), 44_100)
    content = bytearray(path.read_bytes())
    content[24:28] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(content)
    assert "has 2147483647 samples a second, more than 768000" in refusal(path)


def test_no_permission(song: Path) -> None:
    song.chmod(0)
    for folder in [song.parent, *song.parent.parents]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/") and folder.name.startswith("pytest"):
            folder.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        assert "permission denied" in refusal(song)
    finally:
        if user == 0:
            os.seteuid(0)


@pytest.mark.parametrize("name", ["a b.wav", "größe 🎸.wav", "two\nlines.wav", "http:x.wav", "%03d.wav", "-", "file:a"])
def test_any_name(song: Path, name: str) -> None:
    assert read(song.rename(song.with_name(name)))[0].shape == (2, 88200)


def test_a_relative_name_with_a_colon(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song.rename(song.with_name("concat:song.wav"))
    monkeypatch.chdir(song.parent)
    assert read(Path("concat:song.wav"))[0].shape == (2, 88200)


HALVES = [
    ("in.wav", "pcm_s16le", "s16", {}),
    ("in.aiff", "pcm_s16be", "s16", {}),
    ("in.flac", "flac", "s16", {}),
    ("in.mp3", "libmp3lame", "fltp", {}),
    ("in.m4a", "aac", "fltp", {"movflags": "+faststart"}),
    ("in.wma", "wmav2", "fltp", {}),
]


@pytest.mark.parametrize(("name", "codec", "sample_format", "options"), HALVES)
def test_half_a_file(tmp_path: Path, name: str, codec: str, sample_format: str, options: dict[str, str]) -> None:
    signal = noise(2, 5 * 44100)
    if sample_format == "s16":
        signal = (signal * 32767).astype(np.int16)
    path = tmp_path / name
    write_av(path, signal, codec, sample_format=sample_format, options=options, bit_rate=192000)
    whole = read(path)[0]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    half, _, notes = read(path)
    assert 1.5 < half.shape[1] / 44100 < 3
    common = half.shape[1] - 2048  # the last frame was meant to overlap with the next
    assert np.array_equal(half[:, :common], whole[:, :common])
    assert len(notes) == 1 and notes[0].startswith("The file ends early: 2.")
    # The claim in a WMA is corrected by its bit rate and size before we see it.
    assert notes[0].endswith("5.0 s could be read.") or name == "in.wma"


def test_half_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = tmp_path / "in.m4a"
    write_av(path, noise(2, 200000), "aac")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize(
    ("name", "codec", "sample_format"),
    [("in.flac", "flac", "s16"), ("in.m4a", "aac", "fltp"), ("in.mp3", "libmp3lame", "fltp")],
)
def test_damage_in_the_middle_keeps_what_follows_in_place(
    tmp_path: Path, name: str, codec: str, sample_format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    signal = noise(2, 5 * 44100)
    if sample_format == "s16":
        signal = (signal * 32767).astype(np.int16)
    path = tmp_path / name
    write_av(path, signal, codec, sample_format=sample_format, bit_rate=192000)
    whole = read(path)[0]
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(5).bytes(300)
    path.write_bytes(data)
    given, _, notes = read(path)
    assert given.shape == whole.shape
    assert np.array_equal(given[:, :80000], whole[:, :80000])
    # AAC draws its noise from a generator that the damage has put out of step.
    assert np.array_equal(given[:, -80000:], whole[:, -80000:]) or name == "in.m4a"
    assert offset(given[:, -80000:], whole[:, -80000:]) == 0
    assert np.abs(given[:, -80000:] - whole[:, -80000:]).max() < 0.01
    assert np.abs(given).max() < 2
    if name == "in.flac":
        assert any("replaced by silence" in note for note in notes)
    assert capfd.readouterr() == ("", "")
