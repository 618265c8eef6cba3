"""Bodies with a Content-Encoding: decoded on every face, with every limit counted after decoding."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message

from stemwright.api.content_encoding import DecodedBody, EncodingError
from tests.api.conftest import OpenServer, Server
from tests.stand_in import KIE_KEY, StandIn

GENERATE = "/api/v1/vocal-removal/generate"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", lambda data: gzip.compress(data[:7], mtime=0) + gzip.compress(data[7:], mtime=0)),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("identity", bytes),
    ("", bytes),
    ("identity, gzip", gzip.compress),
]
IDS = ["gzip", "x-gzip", "two members", "zlib", "raw deflate", "identity", "empty", "list"]


def send(
    server: Server, path: str, content: bytes, coding: str, kind: str = "application/json", method: str = "POST"
) -> httpx.Response:
    headers = {"Content-Encoding": coding, "Content-Type": kind}
    return server.client.request(method, path, content=content, headers=headers)


@pytest.mark.parametrize(("coding", "encode"), CODINGS, ids=IDS)
def test_an_order_of_every_face_may_be_encoded(shared: Server, coding: str, encode: Callable[[bytes], bytes]) -> None:
    track = shared.add_track()
    kie = {"taskId": track.task_id, "audioId": track.id}
    crun = {"model": "suno/vocal-separatio", "input": {"task_id": track.task_id, "suno_id": track.id}}
    for path, order, status in (
        (GENERATE, kie, 200),
        ("/api/v1/client/job/CreateTask", crun, 200),
        ("/v1/separations", {"track_id": track.id}, 201),
    ):
        reply = send(shared, path, encode(json.dumps(order).encode()), coding)
        assert (reply.status_code, reply.json().get("code", 200)) == (status, 200), reply.text


@pytest.mark.parametrize(("coding", "encode"), CODINGS[:5], ids=IDS[:5])
def test_files_may_be_encoded(shared: Server, coding: str, encode: Callable[[bytes], bytes]) -> None:
    as_json = json.dumps({"base64Data": base64.b64encode(shared.mp3).decode(), "uploadPath": "a"}).encode()
    body = send(shared, "/api/file-base64-upload", encode(as_json), coding).json()
    assert httpx.get(body["data"]["downloadUrl"], follow_redirects=True).content == shared.mp3

    form = httpx.Request("POST", shared.url, files={"file": ("s.mp3", shared.mp3)})
    reply = send(shared, "/v1/tracks", encode(form.read()), coding, form.headers["content-type"])
    assert reply.status_code == 201 and httpx.get(reply.json()["url"], follow_redirects=True).content == shared.mp3

    query = {"content_type": "audio/mpeg", "ext": ".mp3"}
    links = shared.client.get("/api/v1/client/files/upload-url", params=query).json()["data"]
    assert send(shared, links["presigned_url"], encode(shared.mp3), coding, "audio/mpeg", "PUT").status_code == 200
    assert httpx.get(links["file_url"], follow_redirects=True).content == shared.mp3


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate,gzip", "nonsense"])
def test_other_codings_are_refused_in_the_envelope_of_each_face(shared: Server, coding: str) -> None:
    sentence = "The Content-Encoding of the body is not supported: use gzip or deflate, or none."
    kie = send(shared, GENERATE, b"x", coding)
    assert (kie.status_code, kie.json()) == (200, {"code": 415, "msg": sentence, "data": None})
    for path, kind in (
        ("/api/file-base64-upload", "application/json"),
        ("/api/file-stream-upload", "multipart/form-data; boundary=b"),
    ):
        reply = send(shared, path, b"x", coding, kind).json()
        assert reply == {"success": False, "code": 415, "msg": sentence, "data": None}
    crun = send(shared, "/api/v1/client/job/CreateTask", b"x", coding)
    assert (crun.status_code, crun.json()) == (415, {"code": 415, "message": sentence, "data": None})
    own = send(shared, "/v1/separations", b"x", coding)
    assert (own.status_code, own.json()["detail"]) == (415, sentence)


@pytest.mark.parametrize(
    ("content", "coding", "words"),
    [
        (b"{}", "gzip", "is not gzip"),
        (b"\x78\x9cnonsense", "deflate", "is not deflate"),
        (gzip.compress(b'{"a":"' + bytes(range(97, 123)) * 9 + b'"}', mtime=0)[:-9], "gzip", "ends early"),
        (zlib.compress(b"{}")[:-1], "deflate", "ends early"),
        (zlib.compress(b"{}") + b"more", "deflate", "has data after the end"),
        (gzip.compress(b"{}", mtime=0) + b"more", "gzip", "is not gzip"),
    ],
)
def test_a_body_that_is_not_what_it_says(shared: Server, content: bytes, coding: str, words: str) -> None:
    reply = send(shared, GENERATE, content, coding).json()
    assert reply["code"] == 400 and words in reply["msg"]


def test_limits_count_what_comes_out(open_server: OpenServer) -> None:
    server = open_server(max_upload_mb=1)
    bomb = gzip.compress(b'{"a": "' + b"a" * 3_000_000 + b'"}', mtime=0)
    assert len(bomb) < 10_000
    assert send(server, GENERATE, bomb, "gzip").json()["code"] == 413
    assert send(server, "/v1/separations", bomb, "gzip").status_code == 413

    large = bytes(2_000_000)
    form = httpx.Request("POST", server.url, files={"file": ("s.wav", large)})
    reply = send(server, "/v1/tracks", gzip.compress(form.read()), "gzip", form.headers["content-type"])
    assert reply.status_code == 413
    as_json = json.dumps({"base64Data": base64.b64encode(large).decode(), "uploadPath": "a"}).encode()
    body = send(server, "/api/file-base64-upload", gzip.compress(as_json, mtime=0), "gzip").json()
    assert (body["code"], "more than 1 MB" in body["msg"]) == (400, True)
    query = {"content_type": "audio/wav", "ext": ".wav"}
    link = server.client.get("/api/v1/client/files/upload-url", params=query).json()["data"]["presigned_url"]
    assert send(server, link, gzip.compress(large, mtime=0), "gzip", "audio/wav", "PUT").status_code == 413
    assert send(server, link, gzip.compress(b"", mtime=0), "gzip", "audio/wav", "PUT").status_code == 422


def arriving(pieces: Iterator[bytes], coding: str) -> Request:
    async def receive() -> Message:
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [(b"content-encoding", coding.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_is_all_frame_does_not_go_on_for_ever(coding: str) -> None:
    head = gzip.compress(b"", mtime=0)[:10] if coding == "gzip" else b""
    empty_blocks = b"\x00\x00\x00\xff\xff" * 10_000  # of deflate: each holds nothing, and none is the last

    def pieces() -> Iterator[bytes]:
        yield head
        while True:
            yield empty_blocks

    with pytest.raises(EncodingError, match="has almost no content"):
        consume(DecodedBody(arriving(pieces(), coding)))


def test_no_piece_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(bytes(10_000_000))
    sizes = consume(DecodedBody(arriving(iter([packed]), "gzip")))
    assert sum(sizes) == 10_000_000 and max(sizes) <= 65_536


def consume(pieces: AsyncIterator[bytes]) -> list[int]:
    import asyncio

    async def read() -> list[int]:
        return [len(piece) async for piece in pieces]

    return asyncio.run(read())


def test_what_is_passed_on_is_passed_on_readable(open_server: OpenServer) -> None:
    with StandIn() as world:
        server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
        foreign: dict[str, Any] = {"url": "https://tempfile.vendor.example/a.mp3"}
        send(server, "/api/v1/common/download-url", gzip.compress(json.dumps(foreign).encode()), "gzip")
        assert world.of("/api/v1/common/download-url")[0].json == foreign  # was read here, and is sent plain
        packed = gzip.compress(b'{"prompt": "la"}', mtime=0)
        send(server, "/api/v1/elsewhere", packed, "gzip")  # is not read here, and goes as it came
        passed = world.of("/api/v1/elsewhere")[0]
        assert (passed.body, passed.headers["content-encoding"]) == (packed, "gzip")
