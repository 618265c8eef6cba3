"""Files by their links, from a running server."""

from __future__ import annotations

import resource
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from stemwright.service import server_state
from stemwright.service.links import Links
from stemwright.service.tracks import Track
from stemwright.service.uploads import Upload
from stemwright.storage.store import StoredBlob
from tests.api.conftest import OpenServer, Server
from tests.server_state import IN_FILES

pytestmark = IN_FILES  # what a store answers is in test_redirects

CONTENT = bytes(range(256)) * 1500  # more than one piece
SIZE = len(CONTENT)


def add_upload(
    server: Server, content: bytes = CONTENT, path: str = "mine/song.mp3", media_type: str = "audio/mpeg"
) -> Upload:
    blob = server.store(content)
    return server.service.uploads.add(server.caller.account_id, path, blob, media_type)


def add_track(server: Server, title: str = "song", file_name: str | None = "song.mp3") -> Track:
    return server.service.tracks.add_stored(
        server.caller.account_id, server.store(CONTENT), title=title, file_name=file_name, media_type="audio/mpeg"
    )


@pytest.fixture
def url(server: Server) -> str:
    return server.service.links.track_url(add_track(server))


def detail(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    body = answer.json()
    assert body["status"] == answer.status_code
    return str(body["detail"])


def test_a_file_comes_whole_and_needs_no_key(url: str) -> None:
    answer = httpx.get(url)
    assert answer.status_code == 200 and answer.content == CONTENT
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"].startswith('inline; filename="song.mp3"')
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_says_the_same_without_the_file(url: str) -> None:
    got, asked = httpx.get(url), httpx.head(url, headers={"Range": "bytes=0-9"})
    assert asked.status_code == 200 and asked.content == b""
    same = ("content-type", "content-length", "etag", "accept-ranges", "content-disposition")
    assert [asked.headers[name] for name in same] == [got.headers[name] for name in same]


def test_a_range_comes_as_asked(url: str) -> None:
    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=100-299999", 100, 300_000),
        ("bytes=383000-", 383_000, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        ("bytes=-99999999", 0, SIZE),
        ("bytes=5-99999999", 5, SIZE),
    ):
        answer = httpx.get(url, headers={"Range": asked})
        assert answer.status_code == 206 and answer.content == CONTENT[start:end], asked
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
        assert answer.headers["content-length"] == str(end - start)


def test_a_range_that_makes_no_sense_is_ignored(url: str) -> None:
    for asked in ("bytes=9-3", "bytes=-", "bytes=0-1,5-9", "lines=1-2", "bytes=a-b", "bytes=１-２"):
        answer = httpx.get(url, headers={b"Range": asked.encode()})
        assert answer.status_code == 200 and answer.content == CONTENT, asked


def test_a_range_outside_the_file_is_told(url: str) -> None:
    for asked in (f"bytes={SIZE}-", "bytes=-0", "bytes=99999999-999999999"):
        answer = httpx.get(url, headers={"Range": asked})
        assert answer.status_code == 416 and f"{SIZE} bytes" in detail(answer), asked
        assert answer.headers["content-range"] == f"bytes */{SIZE}"


def test_a_download_goes_on_only_with_the_same_file(url: str) -> None:
    etag = httpx.head(url).headers["etag"]
    part = {"Range": "bytes=100-"}
    assert httpx.get(url, headers={**part, "If-Range": etag}).status_code == 206
    for other in ('"another"', f"W/{etag}", "Fri, 20 Nov 2026 00:00:00 GMT"):
        answer = httpx.get(url, headers={**part, "If-Range": other})
        assert answer.status_code == 200 and answer.content == CONTENT


def test_what_the_client_has_is_not_sent_again(url: str) -> None:
    etag = httpx.head(url).headers["etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        answer = httpx.get(url, headers={"If-None-Match": known})
        assert answer.status_code == 304 and answer.content == b"" and answer.headers["etag"] == etag
    assert httpx.get(url, headers={"If-None-Match": '"x"'}).status_code == 200


def test_stems_are_named_for_people(server: Server) -> None:
    track = add_track(server, title='AC/DC "Ärger"\r\nX: y')
    task_id = server.client.post("/v1/separations", json={"track_id": track.id, "stems": "two"}).json()["id"]
    task = server.succeed(task_id.replace("-", ""))
    vocals = httpx.get(server.service.links.stem_url(task.stems[0], task))
    assert vocals.content == server.mp3
    name = vocals.headers["content-disposition"]
    assert name.startswith("inline; filename=\"AC_DC '_rger'__X: y - Vocals.") and "%C3%84rger" in name
    saved = httpx.get(server.service.links.stem_url(task.stems[1], task) + "?download=1")
    assert saved.headers["content-disposition"].startswith("attachment; ")
    assert " - Instrumental." in saved.headers["content-disposition"]


def test_no_upload_runs_in_a_browser(server: Server) -> None:
    for path, media_type, served in (
        ("a/song.mp3", "audio/mp3", "audio/mpeg"),
        ("a/song.wav", "application/octet-stream", "audio/wav"),
        ("a/page.html", "text/html", "application/octet-stream"),
        ("a/picture.svg", "image/svg+xml", "application/octet-stream"),
        ("a/song.mp3", "text/html; charset=utf-8", "audio/mpeg"),
        ("a/x", "", "application/octet-stream"),
        ("a/100% Ü #1?.flac", "audio/flac", "audio/flac"),
    ):
        upload = add_upload(server, b"<script>alert(1)</script>", path, media_type)
        answer = httpx.get(server.service.links.upload_url(upload))
        assert answer.status_code == 200 and answer.headers["content-type"] == served, path
        assert "sandbox" in answer.headers["content-security-policy"]


def test_a_new_upload_under_the_same_path_is_what_its_link_gives(server: Server) -> None:
    link = server.service.links.upload_url(add_upload(server, b"first"))
    etag = httpx.get(link).headers["etag"]
    add_upload(server, b"second")
    answer = httpx.get(link, headers={"If-None-Match": etag})
    assert answer.status_code == 200 and answer.content == b"second" and "no-cache" in answer.headers["cache-control"]


def test_an_empty_file_is_a_file(server: Server) -> None:
    link = server.service.links.upload_url(add_upload(server, b""))
    answer = httpx.get(link)
    assert answer.status_code == 200 and answer.content == b"" and answer.headers["content-length"] == "0"
    assert httpx.get(link, headers={"Range": "bytes=0-"}).status_code == 416


def test_browsers_of_all_origins_may_play(url: str) -> None:
    origin = {"Origin": "https://player.example"}
    played = httpx.get(url, headers=origin)
    assert played.headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in played.headers["access-control-expose-headers"]
    asks = {**origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    assert httpx.options(url, headers=asks).is_success
    assert httpx.options(url).status_code == 204


def test_what_was_never_given_out_leads_nowhere(server: Server) -> None:
    for letter in "stu":
        for rest in ("", "x", "1-2/3", "9999999999-" + "0" * 64 + "/x.mp3", "%00", "%ff", "%2e%2e%2fx"):
            answer = server.client.get(f"/{letter}/{rest}")
            assert answer.status_code == 404 and "is not valid" in detail(answer), rest
            assert server.client.head(f"/{letter}/{rest}").status_code == 404


def test_dots_that_no_client_folds_lead_nowhere(server: Server) -> None:
    port = urlsplit(server.url).port
    for path in ("/s/../../../../etc/passwd", "/t/%2e%2e/%2e%2e/etc/passwd", "//s//etc/passwd"):
        with socket.create_connection(("127.0.0.1", port), timeout=240) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 404") and b"root:" not in answer


def test_the_link_that_writes_does_not_read(server: Server) -> None:
    upload = add_upload(server)
    put = server.service.links.put_url(upload, 60)
    assert httpx.get(put.replace("/p/", "/u/")).status_code == 404
    assert httpx.get(put).status_code in (404, 405)


def test_an_expired_link_is_gone(server: Server) -> None:
    track = add_track(server)
    late = Links(server.url, server_state.secret(server.service.database, "link_secret"), lambda: 0.0)
    expired = late.temporary(server.service.links.track_url(track), 100)
    assert expired is not None
    answer = httpx.get(expired)
    assert answer.status_code == 410 and "expired" in detail(answer)


def test_what_was_deleted_is_not_found(server: Server, url: str) -> None:
    track = server.service.tracks.list(server.caller.account_id)[0]
    server.service.tracks.delete(track.account_id, track.id)
    answer = httpx.get(url)
    assert answer.status_code == 404 and "deleted" in detail(answer)


def test_what_has_not_come_yet_is_told(server: Server) -> None:
    upload = server.service.uploads.reserve(server.caller.account_id, "crun/x.mp3", "audio/mpeg")
    answer = httpx.get(server.service.links.upload_url(upload))
    assert answer.status_code == 404 and "Nothing was uploaded here yet" in detail(answer)


def test_a_lost_file_is_told_and_logged(server: Server, url: str, caplog: pytest.LogCaptureFixture) -> None:
    track = server.service.tracks.list(server.caller.account_id)[0]
    assert track.blob is not None
    server.service.store.delete(track.blob)
    answer = httpx.get(url)
    assert answer.status_code == 404 and "lost" in detail(answer)
    assert "is lost" in caplog.text


def test_a_large_file_needs_little_memory(server: Server) -> None:
    with server.service.store.writer() as writer:
        for _ in range(300):
            writer.write(bytes(1_000_000))
        blob: StoredBlob = writer.commit()
    upload = server.service.uploads.add(server.caller.account_id, "large.wav", blob, "audio/wav")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with httpx.stream("GET", server.service.links.upload_url(upload), timeout=240) as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()) == 300_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


def test_a_client_that_goes_away_leaves_nothing_open(open_server: OpenServer) -> None:
    server = open_server()
    link = server.service.links.upload_url(add_upload(server, bytes(20_000_000)))
    for _ in range(5):
        with httpx.stream("GET", link) as answer:
            next(answer.iter_bytes(1000))
    assert httpx.get(link, headers={"Range": "bytes=-4"}).content == bytes(4)
