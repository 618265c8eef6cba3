"""The set for an audio workstation: WAVs of one length to the sample, and a REAPER project that names them."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.encode import Encoder, Tags
from stemwright.audio.formats import OutputFormat
from stemwright.audio.wave_header import Broadcast, float_wave_header
from stemwright.database import tables
from stemwright.service.reaper_project import ReaperTrack, reaper_project
from tests.api.conftest import Server
from tests.api.native import problem
from tests.api.test_mixdown import LENGTH, RATE, separated, sounds, wav
from tests.server_state import IN_FILES

Block = tuple[list[str], list["Block"]]


def chunks(content: bytes) -> dict[bytes, bytes]:
    """The chunks of a WAV file."""
    assert content[:4] == b"RIFF" and content[8:12] == b"WAVE"
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
    found, at = {}, 12
    while at < len(content):
        name, size = struct.unpack("<4sI", content[at : at + 8])
        found[name] = content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found


def read_project(text: str) -> Block:
    """A REAPER project as nested blocks of lines."""
    stack: list[Block] = [([], [])]
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("<"):
            block: Block = ([line[1:]], [])
            stack[-1][1].append(block)
            stack.append(block)
        elif line == ">":
            stack.pop()
        else:
            stack[-1][0].append(line)
    assert len(stack) == 1
    return stack[0][1][0]


def value(block: Block, name: str) -> str:
    (line,) = (line for line in block[0] if line.startswith(f"{name} "))
    return line.removeprefix(f"{name} ").strip("\"'`")


def fetched(server: Server, path: str) -> zipfile.ZipFile:
    reply = server.client.get(path)
    assert reply.status_code == 200 and reply.headers["content-type"] == "application/zip"
    assert int(reply.headers["content-length"]) == len(reply.content)
    assert re.fullmatch(r'attachment; filename="[\w .()-]+ DAW\.zip"', reply.headers["content-disposition"])
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert archive.testzip() is None
    return archive


def daw(mixdown: str) -> str:
    return mixdown.replace("/mixdown", "/daw.zip")


@pytest.mark.parametrize("channels", [1, 2])
def test_the_files_are_the_stems_and_the_project_opens_them(shared: Server, channels: int) -> None:
    parts = sounds(channels)
    path = separated(shared, {name: wav(samples) for name, samples in parts.items()}, "wav", channels=channels)
    archive = fetched(shared, daw(path))
    names = [f"{number:02d} {name}.wav" for number, name in enumerate(parts, start=1)]
    assert archive.namelist()[:-1] == names
    for name, samples in zip(names, parts.values(), strict=True):
        content = archive.read(name)
        decoded, rate = soundfile.read(io.BytesIO(content), always_2d=True)
        assert rate == RATE
        np.testing.assert_array_equal(decoded, samples / 32_768)
        bext = chunks(content)[b"bext"]
        assert len(bext) == 602 and bext.startswith(b"song: " + name[3:-4].encode())
        assert struct.unpack("<QH", bext[338:348]) == (0, 1)
    project = read_project(archive.read(archive.namelist()[-1]).decode())
    assert project[0][0].startswith("REAPER_PROJECT") and value(project, "SAMPLERATE").split()[0] == str(RATE)
    items = [track[1][0] for track in project[1]]
    assert [value(item[1][0], "FILE") for item in items] == names
    assert [value(track, "NAME") for track in project[1]] == ["Drums", "Bass", "Residual"]
    for item in items:
        assert value(item, "POSITION") == "0" and abs(float(value(item, "LENGTH")) * RATE - LENGTH) < 1e-6


def test_lossy_stems_become_as_long_as_the_song(shared: Server, tmp_path: Path) -> None:
    fmt = OutputFormat("ogg", "ogg", None, None, lossless=False)
    files = {}
    for number, (name, samples) in enumerate(sounds(2).items()):
        short = samples[: LENGTH - 500 * number]
        with Encoder(tmp_path / name, fmt, sample_rate=RATE, channels=2, tags=Tags(None, None, None, name)) as encoder:
            encoder.write(np.ascontiguousarray(short.T / np.float32(65_536), np.float32))
        files[name] = (tmp_path / name).read_bytes()
    archive = fetched(shared, daw(separated(shared, files, "ogg")))
    lengths = {soundfile.info(io.BytesIO(archive.read(name))).frames for name in archive.namelist()[:-1]}
    assert lengths == {LENGTH}


def test_silent_stems_are_left_out(shared: Server) -> None:
    path = separated(shared, {name: wav(samples) for name, samples in sounds(1).items()}, "wav")
    with shared.service.database.write() as session:
        task_id = path.split("/")[3].replace("-", "")
        session.query(tables.Stem).filter_by(task_id=task_id, name="bass").update({"present": False})
    assert fetched(shared, daw(path)).namelist()[:-1] == ["01 drums.wav", "02 residual.wav"]


@IN_FILES
def test_what_cannot_be_had_is_said_before_the_first_byte(shared: Server) -> None:
    path = separated(shared, {"drums": wav(sounds(2)["drums"])}, "wav", samples=2**30)
    assert "more than 4 GB" in problem(shared.client.get(daw(path)), 409, "conflict")["detail"]
    path = separated(shared, {"drums": wav(np.ones((LENGTH, 1), np.int16))}, "wav")
    stored = shared.service.store.local_path(shared.task(path.split("/")[3].replace("-", "")).stems[0].blob)
    assert stored is not None
    stored.unlink()
    problem(shared.client.get(daw(path)), 404, "not-found")


def test_a_description_is_ascii_and_fits() -> None:
    chunk = chunks(float_wave_header(RATE, 2, 0, Broadcast("é" * 300, 480)))[b"bext"]
    assert chunk[:256] == b"?" * 256 and struct.unpack("<Q", chunk[338:346]) == (480,)


@pytest.mark.parametrize("name", ['a "b"', "a \"b\" 'c'", "a \"b\" 'c' `d`"])
def test_names_with_quotes_stay_one_word(name: str) -> None:
    project = read_project(reaper_project([ReaperTrack("drums", name)], RATE, 10).decode())
    source = project[1][0][1][0][1][0]
    line = next(line for line in source[0] if line.startswith("FILE "))
    quote, inner = line[5], line[6:-1]
    assert line[-1] == quote and quote not in inner
