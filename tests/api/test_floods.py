"""Bodies of 100 MB and forms without end: refused as soon as that can be told, and nothing is kept of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import repeat

import psutil
import pytest

from tests.api.raw_requests import answer
from tests.serving import Serving

KIE = "/api/v1/vocal-removal/generate"
PATHS = (
    KIE,
    "/api/v1/common/download-url",
    "/api/file-base64-upload",
    "/api/file-url-upload",
    "/api/v1/client/job/CreateTask",
    "/api/v1/client/job/EstimateTask",
    "/v1/tracks",
    "/v1/separations",
)
MEGABYTE = b"x" * 1_000_000


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server in a process of its own, whose memory is nobody else's."""
    with Serving(tmp_path_factory.mktemp("floods") / "data", "--workers", "0", max_upload_mb="20") as serving:
        serving.read_key()
        yield serving


def flood(
    serving: Serving, path: str, *pieces: bytes, kind: str = "application/json", length: int | None = None
) -> int:
    """Sends a body, with its length or in chunks; gives the face's code."""
    head = f"POST {path} HTTP/1.1\r\nAuthorization: Bearer {serving.key}\r\nContent-Type: {kind}\r\n".encode()
    if length is None:
        head += b"Transfer-Encoding: chunked\r\n"
        pieces = (*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece), b"0\r\n\r\n")
    else:
        head += b"Content-Length: %d\r\n" % length
    reply = answer(serving.url, head, *pieces)
    body = json.loads(reply.partition(b"\r\n\r\n")[2])
    return int(body.get("code", body.get("status")))


@pytest.mark.long
def test_floods_are_refused_and_no_memory_grows(serving: Serving) -> None:
    assert serving.key is not None
    with serving.client() as client:
        assert client.get("/v1/tracks").json()["tracks"] == []
    process = psutil.Process(serving.process.pid)
    mb100 = 100_000_000
    floods = list(repeat(MEGABYTE, 100))
    flood(serving, KIE, b"{}", length=2)
    before = process.memory_info().rss
    for path in PATHS:
        refused = 400 if path.startswith("/api/file-") else 413
        for start in (b"", b'{"a": "', b"[" * 500_000):
            assert flood(serving, path, start, *floods, length=mb100 + len(start)) in (400, refused), path
            assert flood(serving, path, start, *floods) in (400, refused), path
    assert flood(serving, "/api/file-base64-upload", b'{"base64Data": "', *repeat(b" " * 1_000_000, 300)) == 400
    assert flood(serving, "/api/file-base64-upload", b'{"base64Data": "', *repeat(b"A" * 1_000_000, 300)) == 400
    for path in ("/v1/tracks", "/api/file-stream-upload"):
        for body, codes in forms():
            assert flood(serving, path, *body, kind="multipart/form-data; boundary=b") in codes, (path, body[:2])
    assert process.memory_info().rss - before < 30e6
    with serving.client() as client:
        assert client.get("/v1/tracks").json()["tracks"] == []
    assert not [path for path in (serving.data / "files").rglob("*") if path.is_file()]


def forms() -> Iterator[tuple[list[bytes], tuple[int, ...]]]:
    """Forms that are wrong or have no end, and the codes that tell so."""
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
    field = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    large, wrong = (400, 413), (400, 422)
    flood = list(repeat(MEGABYTE, 100))
    yield [field % b"title", *flood], large
    yield [file, *flood], large
    yield flood, large
    yield [b"--b\r\nX-Header: ", *flood], large
    yield [b"--b\r\n", *repeat(b"X-Header: y\r\n" * 1000, 1000)], large
    yield [file, b"x\r\n--b--\r\n", *flood], large
    thousands = [field % b"n%d" % number + b"\r\n" for number in range(50_000)]
    yield [b"".join(thousands[start : start + 1000]) for start in range(0, 50_000, 1000)], large
    yield [field % (b"n" * 1_000_000), b"x\r\n--b--\r\n"], large
    yield [file, b"x\r\n" + file + b"y\r\n--b--\r\n"], wrong
    yield [file, b"x"], wrong
    yield [file, b"x\r\n--b"], wrong
    yield [file.replace(b"--b", b"--c"), b"x\r\n--c--\r\n"], wrong
    yield [b"--b--\r\n"], wrong
    yield [b"\x00\xff\xfe" * 100], wrong
    yield [b'--b\r\nContent-Disposition: form-data; name="\xff\x00"\r\n\r\nx\r\n--b--\r\n'], wrong
    yield [b"--b\r\nContent-Disposition: nonsense\r\n\r\nx\r\n--b--\r\n"], wrong
