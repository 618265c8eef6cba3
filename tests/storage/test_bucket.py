"""An object store over real HTTP: a stand-in on this machine that speaks as much of S3 as is used here."""

from __future__ import annotations

import hashlib
import re
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from stemwright.errors import StorageError
from stemwright.settings import read_settings
from stemwright.storage.store import Store


class Objects(ThreadingHTTPServer):
    """Objects by path, and parts of uploads that are not finished."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.requests: list[str] = []


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Objects

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_PUT(self) -> None:
        path, query, body = self._request()
        if "partNumber" in query:
            self.server.parts[int(query["partNumber"][0])] = body
        else:
            self.server.objects[path] = body
        self._answer(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def do_POST(self) -> None:
        path, query, body = self._request()
        if "delete" in query:
            keys = re.findall("<Key>(.*?)</Key>", body.decode())
            for key in keys:
                self.server.objects.pop(f"/bucket/{key}", None)
            gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())
        elif "uploads" in query:
            self._answer(
                200,
                b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>",
            )
        else:
            self.server.objects[path] = b"".join(self.server.parts[number] for number in sorted(self.server.parts))
            self._answer(200, b"<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>")

    def do_GET(self) -> None:
        path, query, _ = self._request()
        if "list-type" in query:
            contents = "".join(
                f"<Contents><Key>{key.removeprefix('/bucket/')}</Key><Size>{len(body)}</Size><ETag>e</ETag>"
                "<LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>"
                for key, body in sorted(self.server.objects.items())
            )
            self._answer(200, f"<ListBucketResult>{contents}</ListBucketResult>".encode())
        elif path not in self.server.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            body = self.server.objects[path]
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            stamps = {"ETag": '"e"', "Last-Modified": "Fri, 20 Nov 2026 00:00:00 GMT"}
            if span is None:
                self._answer(200, body, stamps)
            else:
                start, end = int(span[1]), min(len(body), int(span[2]) + 1) if span[2] else len(body)
                stamps["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
                self._answer(206, body[start:end], stamps)

    do_HEAD = do_GET  # noqa: N815

    def _request(self) -> tuple[str, dict[str, list[str]], bytes]:
        url = urlsplit(self.path)
        self.server.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return unquote(url.path), parse_qs(url.query, keep_blank_values=True), body

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    with Objects() as server:
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.setenv("AWS_REGION", "here")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def store(objects: Objects, tmp_path: Path) -> Store:
    return Store.open(read_settings(data=tmp_path, storage_url="s3://bucket/stems"))


@pytest.mark.parametrize("size", [100_000, 12_000_000])  # in one piece, and in parts
def test_a_file_goes_there_and_comes_back(store: Store, objects: Objects, tmp_path: Path, size: int) -> None:
    content = bytes(range(250)) * (size // 250)
    with store.writer() as writer:
        writer.write(content)
        blob = writer.commit()
    assert objects.objects == {f"/bucket/stems/{blob.digest[:2]}/{blob.digest[2:]}": content}
    assert store.size(blob.digest) == size
    assert b"".join(store.read(blob.digest, 1_000, 90_000)) == content[1_000:90_000]
    assert b"".join(store.read(blob.digest, 50_000)) == content[50_000:]
    with store.as_file(blob.digest) as path:
        assert path.read_bytes() == content
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list(store.digests()) == [blob.digest]
    store.delete(blob.digest)
    assert not store.exists(blob.digest) and not objects.objects


@pytest.mark.parametrize(("shared", "sent"), [(False, 2), (True, 1)])
def test_the_same_bytes_are_sent_again_unless_accounts_share_results(
    objects: Objects, tmp_path: Path, shared: bool, sent: int
) -> None:
    store = Store.open(read_settings(data=tmp_path, storage_url="s3://bucket/stems", share_results=shared))
    for _ in range(2):
        with store.writer() as writer:
            writer.write(b"song")
            writer.commit()
    assert sum(request.startswith("PUT") for request in objects.requests) == sent, (
        "an upload that is skipped is a fast one"
    )


def test_a_presigned_link_gives_the_file(store: Store) -> None:
    with store.writer() as writer:
        writer.write(b"song")
        blob = writer.commit()
    url = store.url(blob.digest, seconds=60)
    assert url is not None and "X-Amz-Expires=60" in url
    with urllib.request.urlopen(url, timeout=240) as answer:
        assert answer.read() == b"song"


def test_a_store_that_refuses_is_told(store: Store, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Requests) -> None:
        self._request()
        self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")

    for verb in ("do_PUT", "do_GET", "do_HEAD", "do_POST"):
        monkeypatch.setattr(Requests, verb, refuse)
    with pytest.raises(StorageError, match=r"The object store failed.*keys are right"), store.writer() as writer:
        writer.commit()
    with pytest.raises(StorageError):
        store.delete("ab" * 32)
