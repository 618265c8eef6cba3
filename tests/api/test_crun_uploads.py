"""crun's upload: a link to PUT the bytes to, and the file's URL in a task (docs/contracts.md, section 14)."""

from __future__ import annotations

import errno
import os
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.api.conftest import OpenServer, Server
from tests.api.test_crun import CLIENT, CREATE, data, info, refused
from tests.server_state import IN_FILES
from tests.waiting import wait_until

UPLOAD = f"{CLIENT}/files/upload-url"
MP3 = {"content_type": "audio/mpeg", "ext": ".mp3"}
AS_MP3 = {"Content-Type": "audio/mpeg"}


def offer(server: Server, **query: str) -> dict[str, Any]:
    found = data(server.client.get(UPLOAD, params=MP3 | query))
    assert found.keys() == {"presigned_url", "file_url"}
    return found


def test_a_client_that_knows_only_crun_brings_a_song(server: Server) -> None:
    urls = offer(server)
    assert urls["file_url"].startswith(server.url) and urls["file_url"].endswith(".mp3")
    assert httpx.get(urls["file_url"]).status_code == 404
    # No key goes with it: the link is the permission.
    assert httpx.put(urls["presigned_url"], content=server.mp3, headers=AS_MP3).status_code == 200
    got = httpx.get(urls["file_url"], follow_redirects=True)
    assert (got.content, got.headers["content-type"]) == (server.mp3, "audio/mpeg")
    body = {"model": "suno/vocal-separatio", "input": {"audio_url": urls["file_url"], "mode": "instrumental"}}
    task_id = data(server.client.post(CREATE, json=body))["task_id"]
    task = server.task(uuid.UUID(task_id).hex)
    track = server.service.tracks.get(task.account_id, task.track_id)
    assert task.source_url is None and track is not None and track.size_bytes == len(server.mp3)
    assert info(server, task_id)["param"]["input"] == {"audio_url": urls["file_url"], "mode": "instrumental"}


def test_a_put_may_come_again(server: Server) -> None:
    urls = offer(server)
    for content in (b"the first", b"the first", b"the second"):
        assert httpx.put(urls["presigned_url"], content=content, headers=AS_MP3).status_code == 200
        assert httpx.get(urls["file_url"], follow_redirects=True).content == content


def test_a_link_is_refused(server: Server) -> None:
    urls = offer(server)
    put, file = urlsplit(urls["presigned_url"]).path, urlsplit(urls["file_url"]).path
    letter, _, rest = put[1:].partition("/")
    assert letter == "p" and file.startswith("/u/")
    for wrong in (put[:-5] + "x.mp3", put.replace("-", "-0", 1), "/p/" + file[3:], "/p/", "/p/nothing", f"/p/9{rest}"):
        refused(httpx.put(server.url + wrong, content=b"a", headers=AS_MP3), 404)
    # Who may read the file may not write it, and the other way round.
    assert httpx.put(server.url + file, content=b"a", headers=AS_MP3).status_code in (404, 405)
    assert httpx.get(urls["presigned_url"]).status_code in (404, 405)
    assert server.stored_files() == []


def test_a_link_expires(open_server: OpenServer) -> None:
    ahead = 0.0
    server = open_server(clock=lambda: time.time() + ahead)
    urls = offer(server)
    ahead = 3601.0
    refused(httpx.put(urls["presigned_url"], content=b"a", headers=AS_MP3), 410)


def test_what_is_put_is_checked(open_server: OpenServer) -> None:
    server = open_server(max_upload_mb=1)
    url = offer(server)["presigned_url"]

    def pieces() -> Iterator[bytes]:
        yield b"a piece"

    refused(httpx.put(url, content=pieces(), headers=AS_MP3), 411)
    refused(httpx.put(url, content=b"", headers=AS_MP3), 422, "The file is empty.")
    refused(httpx.put(url, content=b"a"), 403)
    refused(httpx.put(url, content=b"a", headers={"Content-Type": "text/html"}), 403)
    refused(httpx.put(url, content=b"a" * 1_000_001, headers=AS_MP3), 413)
    assert httpx.put(url, content=b"a" * 1_000_000, headers=AS_MP3).status_code == 200
    assert len(server.stored_files()) == 1


@IN_FILES
def test_an_upload_that_is_cut_off_leaves_nothing(server: Server) -> None:
    urls = offer(server)
    parts = urlsplit(urls["presigned_url"])
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        head = f"PUT {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Type: audio/mpeg\r\nContent-Length: 100000\r\n\r\n"
        connection.sendall(head.encode() + b"a" * 50_000)
        wait_until(lambda: server.stored_files(), "the file is written as it comes")
    wait_until(lambda: not server.stored_files(), "nothing is left")
    assert httpx.put(urls["presigned_url"], content=server.mp3, headers=AS_MP3).status_code == 200


def test_what_a_link_is_asked_for(server: Server) -> None:
    wrong: list[dict[str, str]] = [
        {},
        {"ext": ".mp3"},
        {"content_type": "audio/mpeg"},
        {"content_type": "audio/mpeg", "ext": "../../x"},
        {"content_type": "audio/mpeg", "ext": ".mp3\0"},
        {"content_type": "image/png", "ext": ".png"},
        {"content_type": "audio/mpeg\r\nX: 1", "ext": ".mp3"},
        {"content_type": "nonsense", "ext": ".mp3"},
    ]
    for query in wrong:
        refused(server.client.get(UPLOAD, params=query), 422)
    for fine in ({"ext": "mp3"}, {"ext": ".MP3"}, {"content_type": "audio/x-wav; charset=x", "ext": ".wav"}):
        offer(server, **fine)


def test_a_file_that_has_not_come_is_no_song(server: Server) -> None:
    for url in offer(server).values():
        body = {"model": "suno/vocal-separatio", "input": {"audio_url": url}}
        message = "input.audio_url has no file yet: PUT it to the presigned_url first."
        refused(server.client.post(CREATE, json=body), 422, message)


@IN_FILES
def test_a_full_disk_is_told_without_folders(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    urls = offer(server)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        reply = httpx.put(urls["presigned_url"], content=server.mp3, headers=AS_MP3)
    refused(reply, 500, "The server cannot store anything for now. Please try again later.")
    assert server.stored_files() == []
    assert httpx.put(urls["presigned_url"], content=server.mp3, headers=AS_MP3).status_code == 200
