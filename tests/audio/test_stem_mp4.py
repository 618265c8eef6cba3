"""Native Instruments' Stems: five tracks that begin together, the mix alone enabled, and the box that names them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.audio.decode import Decoder
from stemwright.audio.stem_mp4 import Codec, StemGroup, add_stem_box, read_stem_box, write_stem_mp4
from stemwright.errors import StorageError, UnreadableInputError

RATE = 44_100
LENGTH = 3 * RATE + 123


def music(seed: int, channels: int = 2, length: int = LENGTH) -> NDArray[np.float64]:
    """``(samples, channels)``, below 3 kHz, since AAC does not keep noise."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((length, channels)), axis=0)
    spectrum[int(3000 / RATE * length) :] = 0
    sound = np.fft.irfft(spectrum, length, axis=0)
    music: NDArray[np.float64] = 0.15 * sound / np.abs(sound).max()
    return music


@pytest.fixture
def parts(tmp_path: Path) -> list[NDArray[np.float64]]:
    parts = [music(seed) for seed in range(4)]
    for number, part in enumerate(parts):
        soundfile.write(tmp_path / f"{number}.wav", part, RATE, subtype="PCM_24")
    return [soundfile.read(tmp_path / f"{number}.wav")[0] for number in range(4)]


def groups(folder: Path) -> list[StemGroup]:
    files = [folder / f"{number}.wav" for number in range(4)]
    return [
        StemGroup("Drums", "#E3B341", (files[0], files[1])),
        StemGroup("Bass", "#7C83F2", (files[2],)),
        StemGroup("Other", "#3FAE74", (files[3],)),
        StemGroup("Vocals “lead”", "#E8695C", ()),
    ]


def tracks(path: Path) -> list[NDArray[np.float64]]:
    """``(samples, channels)`` of each track by PyAV."""
    found = []
    with av.open(str(path), "r") as container:
        streams = list(container.streams.audio)
    for number in range(len(streams)):
        with av.open(str(path), "r") as container:
            frames = [frame.to_ndarray() for frame in container.decode(audio=number)]
        block = np.concatenate(frames, axis=1).T.astype(np.float64)
        found.append(block / 2**31 if np.abs(block).max() > 8 else block)
    return found


def enabled(path: Path) -> list[bool]:
    """Flag 1 of each ``tkhd`` box."""
    content = path.read_bytes()
    flags, at = [], 0
    while (at := content.find(b"tkhd", at)) >= 0:
        flags.append(bool(content[at + 7] & 1))
        at += 4
    return flags


@pytest.mark.parametrize("codec", ["alac", "aac"])
def test_five_tracks_are_the_mix_and_the_groups(tmp_path: Path, parts: list[NDArray[np.float64]], codec: Codec) -> None:
    out = tmp_path / "song.stem.mp4"
    write_stem_mp4(groups(tmp_path), out, codec=codec, title="A song")
    decoded = tracks(out)
    expected = [sum(parts), parts[0] + parts[1], parts[2], parts[3], np.zeros_like(parts[0])]
    assert len(decoded) == 5 and enabled(out) == [True, False, False, False, False]
    for found, wanted in zip(decoded, expected, strict=True):
        assert LENGTH <= len(found) < LENGTH + 1024, "FFmpeg leaves out the padding at the start alone"
        error = np.sqrt(np.mean((found[:LENGTH] - wanted) ** 2))
        assert error <= (2**-23 if codec == "alac" else 0.05 * max(0.01, np.sqrt(np.mean(wanted**2))))
    if codec == "alac":
        np.testing.assert_array_equal(decoded[0], sum(parts))
    with Decoder(out) as decoder:  # what a player without stems plays
        heard = np.concatenate(list(decoder), axis=1).T
        assert decoder.format.title == "A song"
    assert len(heard) == LENGTH
    np.testing.assert_allclose(heard, decoded[0][:LENGTH], atol=1e-6)


def test_the_box_names_the_groups(tmp_path: Path, parts: list[NDArray[np.float64]]) -> None:
    write_stem_mp4(groups(tmp_path), tmp_path / "out", codec="aac", title="A song")
    facts = read_stem_box(tmp_path / "out")
    assert facts["version"] == 1 and facts["mastering_dsp"].keys() == {"compressor", "limiter"}
    assert facts["stems"] == [{"name": group.name, "color": group.colour} for group in groups(tmp_path)]
    content = (tmp_path / "out").read_bytes()
    at = content.index(b"moov")
    assert struct.unpack(">I", content[at - 4 : at])[0] == len(content) - at + 4, "moov ends with the file"


def test_other_rates_and_channels(tmp_path: Path) -> None:
    mono = music(0, 1, 96_000)
    soundfile.write(tmp_path / "a.wav", mono, 12_345, subtype="PCM_24")
    group = [StemGroup(name, "#000000", (tmp_path / "a.wav",) if name == "a" else ()) for name in "abcd"]
    write_stem_mp4(group, tmp_path / "out", codec="aac", title="")
    with av.open(str(tmp_path / "out"), "r") as container:
        assert {stream.rate for stream in container.streams.audio} == {16_000}
    with Decoder(tmp_path / "out") as decoder:
        assert sum(block.shape[1] for block in decoder) == round(96_000 * 16_000 / 12_345)


def test_what_is_no_sound_and_no_place(tmp_path: Path, parts: list[NDArray[np.float64]]) -> None:
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(UnreadableInputError):
        write_stem_mp4([StemGroup("a", "#000000", (tmp_path / "page",))], tmp_path / "out", codec="aac", title="")
    with pytest.raises(StorageError):
        write_stem_mp4(groups(tmp_path), tmp_path / "none" / "out", codec="aac", title="")
    with pytest.raises(ValueError, match="no stem box"):
        read_stem_box(tmp_path / "0.wav")


def test_a_box_is_added_where_there_is_no_other_user_data() -> None:
    file = io.BytesIO(struct.pack(">I4sI4s", 8, b"ftyp", 8, b"moov"))
    add_stem_box(file, b"{}")
    assert file.getvalue() == struct.pack(">I4sI4sI4sI4s2s", 8, b"ftyp", 26, b"moov", 18, b"udta", 10, b"stem", b"{}")
