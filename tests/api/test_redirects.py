"""Links to files where an object store sends them: a real server, SeaweedFS, and requests as browsers make them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from stemwright import Client
from stemwright.service.tracks import Track
from stemwright.service.uploads import Upload
from stemwright.storage.bucket_setup import set_up
from tests.api.conftest import OpenServer, Server, starting
from tests.api.test_crun_uploads import AS_MP3, offer
from tests.api.test_previews import separated, sound, wav
from tests.seaweedfs import SeaweedFs, new_place
from tests.waiting import PATIENCE_S

CONTENT = bytes(range(256)) * 1500
SIZE = len(CONTENT)
PAGE = "https://page.example.org"


@pytest.fixture(scope="module")
def remote(seaweedfs: SeaweedFs, tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    """A server whose files are in the object store."""
    with pytest.MonkeyPatch.context() as patch, starting(tmp_path_factory.mktemp("remote"), mp3) as start:
        yield start(storage_url=new_place(seaweedfs, patch), rate_limit="0")


@pytest.fixture
def url(remote: Server) -> str:
    """Our link to a track."""
    return remote.service.links.track_url(add_track(remote))


def add_track(server: Server) -> Track:
    return server.service.tracks.add_stored(
        server.caller.account_id, server.store(CONTENT), title="s", file_name="Söng.mp3", media_type="audio/mpeg"
    )


def follow(url: str, method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(method, url, headers=headers, follow_redirects=True, timeout=PATIENCE_S)


def test_a_link_redirects_to_the_store(url: str, seaweedfs: SeaweedFs) -> None:
    answer = httpx.get(url)
    assert answer.status_code == 307 and answer.content == b""
    assert answer.headers["location"].startswith(f"{seaweedfs.url}/")
    assert answer.headers["cache-control"] == "private, max-age=300"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_the_file_has_its_type_and_its_name(url: str) -> None:
    answer = follow(url)
    assert answer.status_code == 200 and answer.content == CONTENT
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == "inline; filename=\"S_ng.mp3\"; filename*=UTF-8''S%C3%B6ng.mp3"
    assert answer.headers["cache-control"] == "private, no-transform, max-age=3600, immutable"
    assert follow(f"{url}?download=1").headers["content-disposition"].startswith("attachment; ")


def test_head_says_the_same_without_the_file(url: str) -> None:
    got, asked = follow(url), follow(url, "HEAD")
    assert asked.status_code == 200 and asked.content == b""
    assert asked.history[0].headers["cache-control"] == "no-store"  # that address is good for HEAD alone
    for name in ("content-type", "content-length", "etag", "accept-ranges", "content-disposition"):
        assert asked.headers[name] == got.headers[name], name


def test_ranges_survive(url: str) -> None:
    for asked, start, end in (("bytes=0-0", 0, 1), ("bytes=383000-", 383_000, SIZE), ("bytes=-10", SIZE - 10, SIZE)):
        answer = follow(url, Range=asked)
        assert answer.status_code == 206 and answer.content == CONTENT[start:end], asked
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    etag = follow(url).headers["etag"]
    assert follow(url, **{"Range": "bytes=5-9", "If-Range": etag}).content == CONTENT[5:10]
    assert follow(url, Range=f"bytes={SIZE}-").status_code == 416


def test_a_page_of_another_origin_may_read_it(url: str, remote: Server) -> None:
    """As the Fetch standard says: a preflight for each address, and after a redirect to another origin it is ``null``."""
    assert remote.service.settings.storage_url is not None
    set_up(remote.service.settings.storage_url)
    wishes = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    preflight = httpx.options(url, headers={"Origin": PAGE, **wishes})
    assert preflight.status_code in (200, 204)
    assert "range" in preflight.headers["access-control-allow-headers"].lower()
    first = httpx.get(url, headers={"Origin": PAGE, "Range": "bytes=2-5"})
    assert first.status_code == 307 and first.headers["access-control-allow-origin"] == "*"
    second_url = first.headers["location"]
    preflight = httpx.options(second_url, headers={"Origin": "null", **wishes})
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] in ("*", "null")
    assert "range" in preflight.headers["access-control-allow-headers"].lower()
    answer = httpx.get(second_url, headers={"Origin": "null", "Range": "bytes=2-5"})
    assert answer.status_code == 206 and answer.content == CONTENT[2:6]
    assert answer.headers["access-control-allow-origin"] in ("*", "null")
    assert "content-range" in answer.headers["access-control-expose-headers"].lower()


def test_an_upload_that_was_replaced_is_not_joined_with_the_new_one(remote: Server) -> None:
    def upload(content: bytes) -> str:
        added = remote.service.uploads.add(
            remote.caller.account_id, "mine/song.mp3", remote.store(content), "audio/mpeg"
        )
        return remote.service.links.upload_url(added)

    etag = follow(upload(CONTENT)).headers["etag"]
    url = upload(CONTENT[::-1])
    answer = follow(url, **{"Range": "bytes=5-9", "If-Range": etag})
    assert answer.status_code == 200 and answer.content == CONTENT[::-1]


def test_what_the_client_has_is_not_sent_again(url: str, remote: Server) -> None:
    digest = remote.store(CONTENT).digest
    assert httpx.get(url, headers={"If-None-Match": f'"{digest}"'}).status_code == 304


def test_a_link_that_is_not_valid_goes_nowhere(remote: Server) -> None:
    track = add_track(remote)
    url = remote.service.links.track_url(track)
    parts = urlsplit(url).path.split("/")
    forged = remote.url + "/".join([*parts[:2], parts[2][:-1] + ("0" if parts[2][-1] != "0" else "1"), *parts[3:]])
    assert httpx.get(forged).status_code == 404
    remote.service.tracks.delete(track.account_id, track.id)
    assert httpx.get(url).status_code == 404


def test_a_direct_link_ends_with_ours(open_server: OpenServer, bucket: str) -> None:
    now = [1_800_000_000.0]
    server = open_server(storage_url=bucket, clock=lambda: now[0], upload_days=1)
    blob = server.store(CONTENT)
    upload: Upload = server.service.uploads.add(server.caller.account_id, "mine/song.mp3", blob, "audio/mpeg")
    url = server.service.links.upload_url(upload)
    assert "X-Amz-Expires=3600" in httpx.get(url).headers["location"]
    now[0] += 86_400 - 40
    late = httpx.get(url)
    assert "X-Amz-Expires=40&" in late.headers["location"]
    assert late.headers["cache-control"] == "no-store"  # another file may come under the same link
    now[0] += 40
    assert httpx.get(url).status_code == 410


def test_clients_get_the_address_that_they_can_reach(open_server: OpenServer, bucket: str) -> None:
    server = open_server(storage_url=bucket, storage_public_url="https://files.example.org/")
    url = server.service.links.track_url(add_track(server))
    assert httpx.get(url).headers["location"].startswith("https://files.example.org/files/")


def test_a_server_may_send_the_files_itself(open_server: OpenServer, bucket: str) -> None:
    server = open_server(storage_url=bucket, storage_links="serve")
    url = server.service.links.track_url(add_track(server))
    answer = httpx.get(url, headers={"Range": "bytes=7-300000"})
    assert answer.status_code == 206 and answer.content == CONTENT[7:300_001]


def test_an_upload_goes_to_the_store_and_comes_from_there(remote: Server) -> None:
    content = bytes(1000) + CONTENT * 40  # 15 MB: in parts
    made = remote.client.post(
        "/api/file-stream-upload", data={"uploadPath": "a"}, files={"file": ("song.mp3", content, "audio/mpeg")}
    )
    answer = follow(made.json()["data"]["downloadUrl"])
    assert answer.history[0].status_code == 307 and answer.content == content


def test_our_own_client_follows(remote: Server, tmp_path: Path) -> None:
    path = separated(remote, "wav")
    with Client(remote.url, key=remote.key) as client:
        made = client.download(path.rpartition("/")[2], tmp_path)
    assert {file.name: file.read_bytes() for file in made} == {
        "vocals.wav": wav(sound(1)),
        "instrumental.wav": wav(sound(2)),
    }


def test_two_servers_on_one_store_and_database(
    open_server: OpenServer, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What one of them got, the other has: nothing lies in the data folder of one alone."""
    database = f"sqlite:///{tmp_path_factory.mktemp('both') / 'stemwright.db'}"
    first = open_server(storage_url=bucket, database_url=database)
    second = open_server(storage_url=bucket, database_url=database, key=first.key)
    path = separated(first, "wav")
    peaks = first.client.get(f"{path}/stems/vocals/peaks").content
    assert second.client.get(f"{path}/stems/vocals/peaks").content == peaks
    url = second.client.get(path).json()["stems"][0]["url"]
    assert follow(url).content == wav(sound(1))
    segment = second.client.get(f"{path}/stems/vocals/segments/0")
    assert segment.content == first.client.get(f"{path}/stems/vocals/segments/0").content
    whole = second.client.get(f"{path}/stems.zip")
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        assert archive.read("instrumental.wav") == wav(sound(2))
    urls = offer(first)
    there = second.url + urls["presigned_url"].removeprefix(first.url)
    assert httpx.put(there, content=CONTENT, headers=AS_MP3).status_code == 200
    assert follow(urls["file_url"]).content == CONTENT
