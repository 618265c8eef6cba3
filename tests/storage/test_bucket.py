"""An object store over real HTTP: a stand-in on this machine that speaks as much of S3 as is used here."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from stemwright.errors import StorageError
from stemwright.settings import read_settings
from stemwright.storage.store import Store
from tests.http_stub import HttpStub, StubHandler


class Objects(HttpStub):
    """Objects by path, and parts of uploads that are not finished."""

    def __init__(self) -> None:
        super().__init__(Requests)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.requests: list[str] = []


class Requests(StubHandler):
    protocol_version = "HTTP/1.1"
    server: Objects

    def answer(self) -> None:
        {"PUT": self._put, "POST": self._post}.get(self.command, self._get)()

    def _put(self) -> None:
        path, query, body = self._request()
        if "partNumber" in query:
            self.server.parts[int(query["partNumber"][0])] = body
        else:
            self.server.objects[path] = body
        self.reply(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _post(self) -> None:
        path, query, body = self._request()
        if "delete" in query:
            keys = re.findall("<Key>(.*?)</Key>", body.decode())
            for key in keys:
                self.server.objects.pop(f"/bucket/{key}", None)
            gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self.reply(200, f"<DeleteResult>{gone}</DeleteResult>".encode())
        elif "uploads" in query:
            self.reply(
                200,
                b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>",
            )
        else:
            self.server.objects[path] = b"".join(self.server.parts[number] for number in sorted(self.server.parts))
            self.reply(200, b"<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>")

    def _get(self) -> None:
        path, query, _ = self._request()
        if "list-type" in query:
            contents = "".join(
                f"<Contents><Key>{key.removeprefix('/bucket/')}</Key><Size>{len(body)}</Size><ETag>e</ETag>"
                "<LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>"
                for key, body in sorted(self.server.objects.items())
            )
            self.reply(200, f"<ListBucketResult>{contents}</ListBucketResult>".encode())
        elif path not in self.server.objects:
            self.reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            body = self.server.objects[path]
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            stamps = {"ETag": '"e"', "Last-Modified": "Fri, 20 Nov 2026 00:00:00 GMT"}
            if span is None:
                self.reply(200, body, stamps)
            else:
                start, end = int(span[1]), min(len(body), int(span[2]) + 1) if span[2] else len(body)
                stamps["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
                self.reply(206, body[start:end], stamps)

    def _request(self) -> tuple[str, dict[str, list[str]], bytes]:
        url = urlsplit(self.path)
        self.server.requests.append(f"{self.command} {self.path}")
        body = self.read_body()
        return unquote(url.path), parse_qs(url.query, keep_blank_values=True), body


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    with Objects() as server:
        monkeypatch.setenv("AWS_ENDPOINT", server.url)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.setenv("AWS_REGION", "here")
        yield server


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


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from stemwright.errors import StorageError
from stemwright.settings import read_settings
from stemwright.storage.store import Store

store = Store.open(read_settings(data=Path(sys.argv[1]), storage_url="s3://bucket/stems"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    with store.as_file(sys.argv[2]):
        print("here")
except StorageError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_no_room_for_a_copy_on_this_machine(store: Store, tmp_path: Path) -> None:
    with store.writer() as writer:
        writer.write(bytes(1_000_000))
        blob = writer.commit()
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), blob.digest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert done.stdout.startswith("No room is left to write") and "free some space" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.size(blob.digest) == 1_000_000


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
        self.reply(403, b"<Error><Code>AccessDenied</Code></Error>")

    for verb in ("do_PUT", "do_GET", "do_HEAD", "do_POST"):
        monkeypatch.setattr(Requests, verb, refuse)
    with pytest.raises(StorageError, match=r"The object store failed.*keys are right"), store.writer() as writer:
        writer.commit()
    with pytest.raises(StorageError):
        store.delete("ab" * 32)
