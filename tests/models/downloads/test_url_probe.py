"""What a URL has, asked without downloading it; and the script that asks all URLs of a registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stemwright.models.download_errors import DownloadFault, PermanentError
from stemwright.models.url_probe import UrlFacts, check, probe
from tests.models.downloads.client import CONTENT, DIGEST, NAME, weights_at
from tests.models.downloads.weight_server import Act, WeightServer, answers, chunked, hangs_up, without_length

SCRIPT = Path(__file__).parents[3] / "scripts/check-models"
SIZE = len(CONTENT)


def test_size_and_version_are_asked_for_and_one_kilobyte(server: WeightServer) -> None:
    assert check(server.url, weights_at(server.url)) == UrlFacts(SIZE, '"one"', "", sends_parts=True)
    assert server.ranges == [None, "bytes=0-1023"]


def test_a_server_without_parts_is_said_to_have_none(server: WeightServer) -> None:
    server.acts.extend([answers(405), answers(200, {"ETag": '"one"'}, CONTENT)])
    assert probe(server.url) == UrlFacts(SIZE, '"one"', "", sends_parts=False)


def test_a_size_that_only_the_head_states_counts(server: WeightServer) -> None:
    server.acts.extend([answers(200, {}, CONTENT), chunked(CONTENT)])
    assert probe(server.url).size_bytes == SIZE
    server.acts.extend([answers(405), chunked(CONTENT)])
    assert probe(server.url).size_bytes is None


def test_a_digest_that_the_host_states_counts(server: WeightServer) -> None:
    stated = answers(302, {"Location": "/cdn", "X-Linked-ETag": f'"{DIGEST}"'})
    server.acts.extend([stated, answers(200), stated])
    assert check(server.url, weights_at(server.url)).stated_sha256 == DIGEST


def test_a_file_of_this_machine_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    url = (tmp_path / NAME).as_uri()
    assert check(url, weights_at(url)).size_bytes == SIZE
    (tmp_path / NAME).write_bytes(CONTENT[1:])
    with pytest.raises(PermanentError, match="299999 bytes"):
        check(url, weights_at(url))
    with pytest.raises(PermanentError, match=r"none\.ckpt cannot be read"):
        probe((tmp_path / "none.ckpt").as_uri())


BROKEN: list[tuple[Act, str]] = [
    (answers(404), "gone"),
    (answers(401), "needs login"),
    (answers(403), "forbidden"),
    (answers(429), "busy"),
    (answers(505), "refused"),
    (answers(200, {}, b"short"), "other file"),
    (answers(206, {"Content-Range": "bytes 0-3/4"}, b"abcd"), "other file"),
    (without_length(b"<html>"), "web page"),
    (answers(200, {"Content-Type": "text/html"}, b"sign in"), "web page"),
    (answers(302, {"Location": "/cdn", "X-Linked-ETag": "0" * 64}), "digest differs"),
    (hangs_up, "unreachable"),
]


@pytest.mark.parametrize(("act", "kind"), BROKEN, ids=[str(place) for place in range(len(BROKEN))])
def test_what_is_wrong_has_a_word(server: WeightServer, act: Act, kind: str) -> None:
    server.acts.extend([answers(405), act])
    with pytest.raises(DownloadFault) as fault:
        check(server.url, weights_at(server.url))
    assert fault.value.kind == kind


TABLE = """
[[models]]
name = "{name}"
title = "A network"
runtime = "pytorch"
kind = "waveform"
licence = "MIT"
licence_code = "MIT"
sample_rate_hz = 44100
labels = ["vocals"]
sources = {{ vocals = ["vocals"] }}

[[models.files]]
name = "{name}.ckpt"
url = "{url}"
mirrors = {mirrors}
size_bytes = {size}
sha256 = "{digest}"
"""


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)


def _registry(folder: Path, **urls: list[str]) -> Path:
    path = folder / "registry.toml"
    tables = [
        TABLE.format(name=name, url=url, mirrors=mirrors, size=SIZE, digest=DIGEST)
        for name, (url, *mirrors) in urls.items()
    ]
    path.write_text("".join(tables))
    return path


def test_the_script_prints_a_line_for_every_url_and_ends_well(server: WeightServer, tmp_path: Path) -> None:
    path = _registry(tmp_path, one=[f"{server.url}/1", f"{server.url}/2"], other=[f"{server.url}/3"])
    done = _run("--registry", path)
    assert (done.returncode, done.stderr) == (0, "")
    _, *lines, summary = done.stdout.splitlines()
    lines = [line for line in lines if line]
    assert [line.split()[-1] for line in lines] == [f"{server.url}/{place}" for place in (1, 2, 3)]
    assert all(line.startswith("OK ") and '0.3 MB  yes      unstated "one"' in line for line in lines)
    assert summary == "3 URLs, 0 of them fail."
    assert _run("--registry", path, "other").stdout.endswith("1 URLs, 0 of them fail.\n")


def test_the_script_says_what_is_wrong_and_ends_badly(server: WeightServer, tmp_path: Path) -> None:
    server.acts.extend([answers(404), answers(404)])
    done = _run("--registry", _registry(tmp_path, one=[f"{server.url}/1"]))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[1].startswith("gone ")
    assert f"one.ckpt: {server.url}/1: 127.0.0.1 no longer has it under this address (404 Not Found)" in done.stdout
    assert done.stdout.endswith("1 URLs, 1 of them fail.\n")


def test_the_script_refuses_what_it_cannot_check(tmp_path: Path) -> None:
    path = _registry(tmp_path, one=[""])
    assert "there is no model named two; there are one" in _run("--registry", path, "two").stderr
    assert "these models have no URL" in _run("--registry", path).stderr
