"""Whatever stands in the headers and tags of a file, it is read, or refused in one sentence."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from stemwright.audio.containers.parts import parts_of
from stemwright.errors import StemwrightError
from tests.audio.byte_files import APE_FOOTER, V1_TAG, id3_tag, join
from tests.audio.signals import noise, read, write_av
from tests.audio.test_decode import add_itunes_atom

SAMPLES = 3000
KINDS = [
    "wav",
    "wavex",
    "adpcm",
    "rf64",
    "w64",
    "aiff",
    "au",
    "alac.caf",
    "caf",
    "flac",
    "ogg",
    "opus",
    "mp3",
    "aac",
    "m4a",
]
HEADS = [b"RIFF\0\0\0\0WAVE", b"RF64\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"FORM\0\0\0\0AIFC", b"caff\0\1\0\0", b".snd"]
HEADS += [b"OggS\0\2", b"fLaC\0\0\0\x22", b"\0\0\0\x18ftypM4A ", b"ID3\3\0\0", b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80"]
HEADS += [b"riff\x2e\x91\xcf\x11", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b""]
NAMES = [
    b"fmt ",
    b"data",
    b"ds64",
    b"fact",
    b"COMM",
    b"SSND",
    b"desc",
    b"pakt",
    b"moov",
    b"trak",
    b"mdia",
    b"elst",
    b"stts",
]
NAMES += [
    b"meta",
    b"ilst",
    b"keys",
    b"----",
    b"iTunSMPB",
    b"mvhd",
    b"mdhd",
    b"tkhd",
    b"stsd",
    b"minf",
    b"stbl",
    b"edts",
]


def make(kind: str, path: Path) -> Path:
    signal = noise(2, SAMPLES)
    values = (signal * 32767).astype(np.int16)
    if kind == "opus":
        write_av(path, signal, "libopus", rate=48000, sample_format="flt", muxer="opus")
    elif kind == "mp3":
        write_av(path, signal, "libmp3lame", muxer="mp3")
        join(path, id3_tag(20), path, APE_FOOTER, V1_TAG, path)
    elif kind == "aac":
        write_av(path, signal, "aac", muxer="adts")
    elif kind == "m4a":
        write_av(path, signal, "aac", muxer="ipod")
        add_itunes_atom(path, f" 00000000 00000400 00000048 {SAMPLES:016X} 00000000 00000000")
    else:
        form = {"wavex": "WAVEX", "adpcm": "WAV", "rf64": "RF64", "alac.caf": "CAF", "ogg": "OGG"}.get(
            kind, kind.upper()
        )
        subtype = {"adpcm": "MS_ADPCM", "alac.caf": "ALAC_16", "ogg": "VORBIS"}.get(kind, "PCM_16")
        soundfile.write(path, values.T, 44100, format=form, subtype=subtype)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    return {kind: make(kind, folder / f"in.{kind}").read_bytes() for kind in KINDS}


def reading(path: Path) -> None:
    """Read a file, or be told why not."""
    try:
        samples, source, _ = read(path)
    except StemwrightError:
        return
    assert samples.shape[1] and np.isfinite(samples).all()
    assert source.duration_s is None or 0 <= source.duration_s <= path.stat().st_size


@pytest.mark.parametrize("kind", KINDS)
def test_real_headers_with_some_bytes_changed(tmp_path: Path, files: dict[str, bytes], kind: str) -> None:
    """Where a number stands there now stands an extreme one, or any; then the file ends anywhere."""
    generator = np.random.default_rng(KINDS.index(kind))
    data = files[kind]
    # What FFmpeg does with a changed header takes no part here but for the last files: the scan is ours.
    places = generator.permutation(min(len(data), 700))[:200]
    path = tmp_path / "in.file"
    for number, place in enumerate(places):
        changed = bytearray(data)
        width = int(generator.choice([1, 2, 4, 8]))
        value = generator.choice([b"\0" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(generator.bytes(8))])
        changed[place : place + width] = value[:width]
        if number % 4 == 0:
            changed = changed[: int(generator.integers(1, len(changed)))]
        path.write_bytes(changed)
        parts = parts_of(path)
        assert parts
        if number % 8 == 0:
            reading(path)


chunk = st.tuples(st.sampled_from(NAMES), st.integers(0, 2**32 - 1) | st.integers(0, 80), st.binary(max_size=80)).map(
    lambda parts: parts[0] + struct.pack(">I", parts[1]) + parts[2]
)
box = st.tuples(st.integers(0, 2**32 - 1) | st.integers(0, 90), st.sampled_from(NAMES), st.binary(max_size=80)).map(
    lambda parts: struct.pack(">I", parts[0]) + parts[1] + parts[2]
)
pieces = st.lists(st.binary(max_size=60) | st.sampled_from(HEADS) | chunk | box, max_size=12).map(b"".join)


@settings(max_examples=250)
@given(head=st.sampled_from(HEADS), body=pieces)
def test_any_bytes_behind_any_head(tmp_path: Path, head: bytes, body: bytes) -> None:
    path = tmp_path / f"in.{os.getpid()}"
    path.write_bytes((head + body) or b"\0")
    assert parts_of(path)


@settings(max_examples=25)
@given(text=st.text(max_size=120) | st.text("0123456789ABCDEFabcdefx -+\t\n", max_size=120))
def test_any_text_as_the_tag_of_itunes(tmp_path: Path, files: dict[str, bytes], text: str) -> None:
    path = tmp_path / "in.m4a"
    path.write_bytes(files["m4a"])
    add_itunes_atom(path, text)
    assert read(path)[0].shape == (2, SAMPLES)


def test_a_scan_takes_no_memory(tmp_path: Path) -> None:
    """A sparse file: the scan of a FLAC looks at all of it, piece by piece."""
    import tracemalloc

    path = make("flac", tmp_path / "in.flac")
    with path.open("r+b") as file:
        file.truncate(60_000_000)
    tracemalloc.start()
    assert parts_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000
