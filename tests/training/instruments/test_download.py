"""Recorded instruments from GitHub, against a server on this machine: whole, resumed, damaged, and of another commit."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.http_stub import HttpStub, StubHandler
from training.github_archive import SourceError, blob_id, digest
from training.instruments import download
from training.instruments.download import Source
from training.instruments.library import Instrument

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOISE = np.random.default_rng(0).bytes(300_000)  # does not compress, so that an archive can break off in it
FILES = {"samples/C4.wav": NOISE, "samples/D4.wav": b"d", "README.md": b"not an instrument"}


def packed(files: dict[str, bytes]) -> bytes:
    """An archive as GitHub makes it: all in one folder."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"piano-{COMMIT}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


class Server(HttpStub):
    """What the server does, and what it was asked for."""

    def __init__(self, body: bytes) -> None:
        super().__init__(Handler)
        self.body = body
        self.breaks_after: list[int] = []
        self.statuses: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []


class Handler(StubHandler):
    server: Server

    def answer(self) -> None:
        plan, asked = self.server, self.headers.get("Range")
        plan.asked.append((self.path, asked))
        if plan.statuses and (status := plan.statuses.pop(0)) != 200:
            return self.reply(status)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and plan.ranges else 0
        body = plan.body[start:]
        place = {"Content-Range": f"bytes {start}-{len(plan.body) - 1}/{len(plan.body)}"} if start else {}
        self.start(206 if start else 200, {"Content-Length": str(len(body)), **place})
        cut = plan.breaks_after.pop(0) if plan.breaks_after else len(body)
        self.wfile.write(body[:cut])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(packed(FILES)) as server:
        yield server


def piano(files: dict[str, bytes] = FILES) -> Source:
    expected = digest({name: blob_id(data) for name, data in files.items() if name.endswith(".wav")})
    pattern = r"^samples/(?P<note>[A-G]\d)\.wav$"
    instrument = Instrument("piano", "piano", "piano", pattern, digest=expected, repository="o/piano", commit=COMMIT)
    return Source("o/piano", COMMIT, (instrument,))


def fetch(server: Server, out: Path, source: Source | None = None) -> bool:
    pauses: list[float] = []
    return download.fetch(source or piano(), out, server.url, pauses.append)


def test_the_files_of_instruments_come_and_nothing_else(server: Server, tmp_path: Path) -> None:
    assert fetch(server, tmp_path)
    assert server.asked == [(f"/o/piano/tar.gz/{COMMIT}", None)]
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"piano/samples/C4.wav": NOISE, "piano/samples/D4.wav": b"d"}


def test_what_is_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    server.asked.clear()
    assert not fetch(server, tmp_path)
    assert not server.asked


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [100_000, 50_000]
    assert fetch(server, tmp_path)
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert (tmp_path / "piano/samples/C4.wav").read_bytes() == NOISE


def test_it_begins_again_where_the_server_cannot_go_on(server: Server, tmp_path: Path) -> None:
    server.breaks_after, server.ranges = [100_000], False
    assert fetch(server, tmp_path)
    assert len(server.asked) == 2
    assert (tmp_path / "piano/samples/C4.wav").read_bytes() == NOISE


def test_a_later_run_goes_on_with_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.statuses = [200] + [503] * 4
    server.breaks_after = [100_000]
    with pytest.raises(SourceError, match="answers 503, 5 times"):
        fetch(server, tmp_path)
    server.asked.clear()
    assert fetch(server, tmp_path)
    assert [asked for _, asked in server.asked] == ["bytes=100000-"]


def test_what_is_not_there_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.statuses = [404] * 9
    with pytest.raises(SourceError, match="answers 404"):
        fetch(server, tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("changed", [{"samples/D4.wav": b"another"}, {"samples/E4.wav": b"more"}])
def test_other_files_than_the_library_says_are_refused(
    server: Server, tmp_path: Path, changed: dict[str, bytes]
) -> None:
    server.body = packed(FILES | changed)
    with pytest.raises(SourceError, match=f"archive of o/piano at {COMMIT} holds other files for piano"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []  # the next run begins anew


def test_an_archive_that_cannot_be_read_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.body = server.body[:1000]
    with pytest.raises(SourceError, match="the archive cannot be read"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_leaves_the_folder_is_left_out(server: Server, tmp_path: Path) -> None:
    anywhere = r"(?P<note>[A-G]\d)\.wav$"
    source = piano()
    source = replace(source, instruments=(replace(source.instruments[0], files=anywhere),))
    server.body = packed(FILES | {"../../E4.wav": b"outside"})
    assert fetch(server, tmp_path / "samples", source)
    assert not list(tmp_path.rglob("E4.wav"))


def test_a_blob_id_is_what_git_says() -> None:
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_repositories_of_which_nothing_trains_are_left_out_unless_asked_for() -> None:
    training = {source.repository for source in download.sources(held_out=False)}
    every = {source.repository for source in download.sources(held_out=True)}
    assert "swesterfeld/spectmorph-instruments" in training
    assert "skratchdot/philharmonia-samples" in every - training
