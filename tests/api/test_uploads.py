"""kie's three uploads against their contract, and what strangers send to them."""

from __future__ import annotations

import base64
import json
import re
import resource
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from stemwright.service.ids import dashed
from tests.api.conftest import OpenServer, Server
from tests.server_state import IN_FILES
from tests.stand_in import Song, StandIn, tone
from tests.waiting import wait_until

BASE64 = "/api/file-base64-upload"
BY_URL = "/api/file-url-upload"
STREAM = "/api/file-stream-upload"
UPLOADED = "File uploaded successfully"


@pytest.fixture
def world() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def in_base64(server: Server, **fields: object) -> dict[str, Any]:
    return json_of(
        server.client.post(BASE64, json={"base64Data": encoded(server.mp3), "uploadPath": "audio", **fields})
    )


def in_form(server: Server, name: str = "My song.mp3", kind: str = "audio/mpeg", **fields: str) -> dict[str, Any]:
    files = {"file": (name, server.mp3, kind)}
    return json_of(server.client.post(STREAM, data={"uploadPath": "audio", **fields}, files=files))


def by_url(server: Server, url: object, **fields: object) -> dict[str, Any]:
    return json_of(server.client.post(BY_URL, json={"fileUrl": url, "uploadPath": "audio", **fields}))


def json_of(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200
    return dict(reply.json())


def stored(reply: dict[str, Any]) -> dict[str, Any]:
    assert reply["code"] == 200, reply
    return dict(reply["data"])


def refused(reply: dict[str, Any]) -> tuple[int, str]:
    assert reply.keys() == {"success", "code", "msg", "data"}
    assert (reply["success"], reply["data"]) == (False, None)
    return reply["code"], reply["msg"]


@pytest.mark.parametrize("send", [in_base64, in_form])
def test_a_reply_has_the_vendors_shape(shared: Server, send: Callable[..., dict[str, Any]]) -> None:
    before = time.time()
    kind = {"base64Data": f"data:audio/mpeg;base64,{encoded(shared.mp3)}"} if send is in_base64 else {}
    reply = send(shared, **kind)
    data = reply["data"]
    name, account = data["fileName"], shared.caller.account_id
    assert re.fullmatch(r"\d{13}-[a-z0-9]{11}\.mp3", name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["uploadedAt"])
    assert before - 1 <= int(name[:13]) / 1000 <= time.time() + 1
    assert reply == {
        "success": True,
        "code": 200,
        "msg": UPLOADED,
        "data": {
            "success": True,
            "fileName": name,
            "filePath": f"kieai/{account}/audio/{name}",
            "downloadUrl": data["downloadUrl"],
            "fileSize": len(shared.mp3),
            "mimeType": "audio/mpeg",
            "uploadedAt": data["uploadedAt"],
        },
    }
    assert data["downloadUrl"].startswith(f"{shared.url}/u/")
    assert data["downloadUrl"].endswith(f"/kieai/{account}/audio/{name}")
    assert httpx.get(data["downloadUrl"], follow_redirects=True).content == shared.mp3


def test_a_file_by_url(shared: Server, world: StandIn) -> None:
    song = Song(tone(0.1))
    world.add_task(song)
    data = stored(by_url(shared, f"{world.url}/audio/{song.id}.wav"))
    assert (data["fileSize"], data["mimeType"]) == (len(song.audio), "audio/wav")
    assert data["fileName"].endswith(".wav")
    assert httpx.get(data["downloadUrl"], follow_redirects=True).content == song.audio


def test_the_same_name_overwrites(shared: Server) -> None:
    first = stored(in_form(shared, fileName="mix.mp3"))
    second = stored(in_base64(shared, fileName="mix.mp3", base64Data=encoded(b"another")))
    assert first["filePath"] == second["filePath"]
    assert first["filePath"].endswith("/audio/mix.mp3")
    assert (
        httpx.get(first["downloadUrl"], follow_redirects=True).content
        == httpx.get(second["downloadUrl"], follow_redirects=True).content
        == b"another"
    )


def test_folders_and_names_of_all_alphabets(shared: Server) -> None:
    data = stored(in_form(shared, uploadPath="/my songs/été/", fileName="夜曲 #1?.mp3"))
    assert data["filePath"].endswith("/my songs/été/夜曲 #1?.mp3")
    assert httpx.get(data["downloadUrl"], follow_redirects=True).content == shared.mp3


def test_an_upload_is_a_song_to_separate(shared: Server) -> None:
    url = stored(in_base64(shared, fileName="mix.mp3"))["downloadUrl"]
    reply = shared.client.post("/api/v1/vocal-removal/generate", json={"audioUrl": url, "callBackUrl": "https://noop"})
    task = shared.task(reply.json()["data"]["taskId"])
    track = shared.service.tracks.get(task.account_id, task.track_id)
    assert track is not None and track.blob is not None and task.source_url is None


def test_a_url_of_this_server_is_not_fetched_but_found(shared: Server) -> None:
    track = shared.add_track()
    task_id = shared.client.post(
        "/api/v1/vocal-removal/generate", json={"taskId": track.task_id, "audioId": dashed(track.id)}
    ).json()["data"]["taskId"]
    task = shared.succeed(task_id)
    links = shared.service.links
    upload = stored(in_base64(shared))["downloadUrl"]
    for url in (links.track_url(track), links.stem_url(task.stems[0], task), upload):
        # Under whatever name the server is known: the signature tells, and nothing is asked of that host.
        data = stored(by_url(shared, url.replace(shared.url, "https://another-name.example")))
        assert httpx.get(data["downloadUrl"], follow_redirects=True).content == shared.mp3
    with shared.another() as bob:
        reply = json_of(bob.post(BY_URL, json={"fileUrl": links.track_url(track), "uploadPath": "a"}))
        assert refused(reply)[0] == 400


@pytest.mark.parametrize(
    "text",
    [
        lambda plain: plain,
        lambda plain: plain.rstrip("="),
        lambda plain: f"data:audio/mpeg;base64,{plain}",
        lambda plain: "\r\n".join(plain[start : start + 76] for start in range(0, len(plain), 76)),
        lambda plain: f"data:;base64,{plain}",
    ],
    ids=["bare", "without padding", "data URL", "in lines", "data URL without a type"],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100_000])
def test_base64_in_all_its_spellings(shared: Server, size: int, text: Callable[[str], str]) -> None:
    content = bytes(index * 7 % 251 for index in range(size))
    body = json.dumps({"uploadPath": "a", "base64Data": text(encoded(content)), "fileName": "a.mp3"})
    # Some writers of JSON escape what needs no escape.
    for written in (body, body.replace("/", "\\/"), body.replace("+", "\\u002B").replace("=", "\\u003d")):
        data = stored(json_of(shared.client.post(BASE64, content=written)))
        assert data["fileSize"] == size
        assert httpx.get(data["downloadUrl"], follow_redirects=True).content == content


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_base64_in_pieces_of_any_size(shared: Server, step: int) -> None:
    content = bytes(range(256)) * 3
    fields = {
        "nested": {"base64Data": "no", "list": ["base64Data", {"a": '"}'}]},
        "base64Data": f"data:audio/wav;base64,{encoded(content)}",
        "uploadPath": "a",
    }
    body = json.dumps(fields).replace("/", "\\/").replace("+", "\\u002B").encode()
    pieces = (body[start : start + step] for start in range(0, len(body), step))
    data = stored(json_of(shared.client.post(BASE64, content=pieces)))
    assert (data["fileSize"], data["mimeType"]) == (len(content), "audio/wav")
    assert httpx.get(data["downloadUrl"], follow_redirects=True).content == content


NOT_BASE64 = "base64Data must be a file in base64, bare or as a data URL"


@pytest.mark.parametrize("first", ["QQ==", "QUJD\\", "QUJD\\u00"])
def test_what_is_wrong_is_wrong_in_pieces_too(shared: Server, first: str) -> None:
    def body() -> Iterator[bytes]:
        yield b'{"uploadPath":"a","base64Data":"' + first.encode()
        time.sleep(0.05)  # lets the pieces arrive one by one
        yield b'QUJD"}'

    assert refused(json_of(shared.client.post(BASE64, content=body()))) == (400, NOT_BASE64)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base64Data": "@@@@"}, NOT_BASE64),
        ({"base64Data": "QUJD=QUJD"}, NOT_BASE64),
        ({"base64Data": "QQ==QUJD"}, NOT_BASE64),
        ({"base64Data": "QUJDR"}, NOT_BASE64),
        ({"base64Data": "data:audio/wav,plain"}, NOT_BASE64),
        ({"base64Data": "data:" + "a" * 1000}, NOT_BASE64),
        ({"base64Data": "data:"}, NOT_BASE64),
        ({"base64Data": 'QUJD"'}, NOT_BASE64),
        ({"base64Data": "é"}, NOT_BASE64),
        ({"base64Data": ""}, "base64Data cannot be blank"),
        ({"base64Data": None}, "base64Data cannot be blank"),
        ({"base64Data": 7}, "base64Data must be a string"),
        ({"base64Data": ["QUJD"]}, "base64Data must be a string"),
        ({"uploadPath": None}, "uploadPath cannot be blank"),
        ({"uploadPath": "//"}, "uploadPath cannot be blank"),
        ({"uploadPath": 7}, "uploadPath must be a string"),
        ({"fileName": "a/b.mp3"}, "fileName must be a name of at most 200 characters, without /"),
        ({"fileName": "a" * 201}, "fileName must be a name of at most 200 characters, without /"),
    ],
)
def test_fields_that_are_missing_or_wrong(shared: Server, fields: dict[str, Any], message: str) -> None:
    assert refused(in_base64(shared, **fields)) == (400, message)


@pytest.mark.parametrize(
    "fields",
    [
        {"uploadPath": "../../etc"},
        {"uploadPath": "a/./b"},
        {"fileName": ".."},
        {"fileName": "a\\b.mp3"},
        {"uploadPath": "a\x1b[2J"},
        {"uploadPath": "a" * 600},
    ],
)
def test_paths_that_lead_elsewhere(shared: Server, fields: dict[str, Any]) -> None:
    code, message = refused(in_base64(shared, **fields))
    assert code == 400 and message.startswith("The path of the upload")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'{"base64Data":"QUJD', b'{"base64Data":"QUJD","base64Data":"QUJD","uploadPath":"a"}',
        b'{"uploadPath":"\\ud800","base64Data":"QUJD"}', b'["base64Data","QUJD"]', b"[" * 15_000, b"\xff\xfe",
    ],
)  # fmt: skip
def test_bodies_that_are_not_json(shared: Server, content: bytes) -> None:
    assert refused(json_of(shared.client.post(BASE64, content=content)))[0] == 400


def test_all_but_the_file_is_small(shared: Server) -> None:
    assert refused(in_base64(shared, other="a" * 30_000))[0] == 400
    assert refused(in_form(shared, other="a" * 30_000))[0] == 400


def test_without_a_file_or_a_form(shared: Server) -> None:
    form: dict[str, Any] = {"uploadPath": (None, "audio")}
    assert refused(json_of(shared.client.post(STREAM, files=form))) == (400, "file cannot be blank")
    empty: dict[str, Any] = {"file": ("a.mp3", b""), "uploadPath": (None, "audio")}
    assert refused(json_of(shared.client.post(STREAM, files=empty))) == (400, "file cannot be blank")
    assert refused(json_of(shared.client.post(STREAM, json={})))[1].startswith("The body must be a form")
    assert refused(json_of(shared.client.post(STREAM, files={"file": ("a.mp3", b"a")}))) == (
        400,
        "uploadPath cannot be blank",
    )


@pytest.mark.parametrize("path", [BASE64, BY_URL, STREAM])
def test_without_a_good_key(shared: Server, path: str) -> None:
    reply = httpx.post(shared.url + path, json={})
    assert (reply.status_code, reply.json()) == (
        200,
        {"success": False, "code": 401, "msg": "You do not have access permissions"},
    )


@pytest.mark.parametrize("url", ["", None])
def test_no_url(shared: Server, url: object) -> None:
    assert refused(by_url(shared, url)) == (400, "fileUrl cannot be blank")


@pytest.mark.parametrize("url", ["song.mp3", "file:///etc/passwd", "http://", 7, "http://[::1"])
def test_malformed_urls(shared: Server, url: object) -> None:
    code, message = refused(by_url(shared, url))
    assert code == 400 and message.startswith("fileUrl must be")


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1/a.mp3", "http://2130706433/"]
)
def test_urls_that_the_guard_refuses(open_server: OpenServer, url: str) -> None:
    server = open_server(public_url="https://stems.example")
    assert refused(by_url(server, url))[0] == 400
    assert len(server.stored_files()) == 0


def test_urls_that_give_nothing(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(max_upload_mb=1)
    big = Song(b"\0" * 1_000_001)
    world.add_task(big)
    for path in ("/faults/status?code=404", f"/audio/{big.id}.wav", "/audio/none.wav"):
        assert refused(by_url(server, world.url + path))[0] == 400
    assert len(server.stored_files()) == 0


def test_a_url_that_never_answers_is_given_up(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(fetch_timeout_s=0.3)
    world.break_with("silent", "/audio")
    code, message = refused(by_url(server, f"{world.url}/audio/a.wav"))
    assert code == 400 and "did not answer in time" in message
    assert len(server.stored_files()) == 0


def test_files_that_are_too_large_leave_nothing(open_server: OpenServer) -> None:
    server = open_server(max_upload_mb=1)
    limit = b"a" * 1_000_000
    assert stored(in_base64(server, base64Data=encoded(limit)))["fileSize"] == 1_000_000
    before = len(server.stored_files())
    more = limit + b"a"
    replies = [
        in_base64(server, base64Data=encoded(more)),
        json_of(server.client.post(STREAM, data={"uploadPath": "a"}, files={"file": ("a.mp3", more)})),
    ]
    for reply in replies:
        assert refused(reply) == (400, "The file has more than 1 MB, the limit of this server.")
    assert len(server.stored_files()) == before


@IN_FILES
@pytest.mark.parametrize("path", [BASE64, STREAM])
def test_an_upload_that_is_cut_off_leaves_nothing(open_server: OpenServer, path: str) -> None:
    server = open_server()
    host, port = server.url.removeprefix("http://").split(":")
    body = b'{"uploadPath":"a","base64Data":"' + b"QUJD" * 50_000
    kind = "application/json"
    if path == STREAM:
        kind = "multipart/form-data; boundary=x"
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"a" * 200_000
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: 10000000\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: len(server.stored_files()) == 1, "the file is written as it comes")
    wait_until(lambda: len(server.stored_files()) == 0, "nothing is left")
    assert server.client.get("/api/v1/chat/credit").json()["code"] == 200


def test_uploads_expire(open_server: OpenServer) -> None:
    now = [1_780_000_000.0]
    server = open_server(clock=lambda: now[0], upload_days=3)
    url = stored(in_form(server))["downloadUrl"]
    now[0] += 3 * 86_400 - 1
    assert httpx.get(url, follow_redirects=True).status_code == 200
    now[0] += 1
    assert httpx.get(url).status_code == 410


def test_the_status_mirrors_the_code_where_that_is_set(open_server: OpenServer) -> None:
    server = open_server(mirror_status=True)
    assert server.client.post(BASE64, content=b"{").status_code == 400
    assert httpx.post(server.url + BASE64).status_code == 401
    assert server.client.get(BASE64).status_code == 405


@IN_FILES
def test_memory_does_not_grow_with_a_file_in_base64(open_server: OpenServer) -> None:
    server = open_server()

    def body() -> Iterator[bytes]:
        yield b'{"uploadPath":"a","base64Data":"'
        for _ in range(80):
            yield b"QUJD" * 250_000
        yield b'"}'

    stored(in_base64(server))  # whatever the first request brings into memory
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = stored(json_of(server.client.post(BASE64, content=body())))
    unit = 1 if sys.platform == "darwin" else 1024
    assert data["fileSize"] == 60_000_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 20_000_000


def test_two_accounts_have_their_own_files(shared: Server) -> None:
    mine = stored(in_form(shared, fileName="same.mp3"))
    with shared.another() as bob:
        reply = json_of(bob.post(BASE64, json={"base64Data": "QUJD", "uploadPath": "audio", "fileName": "same.mp3"}))
    assert stored(reply)["filePath"] != mine["filePath"]
    assert httpx.get(mine["downloadUrl"], follow_redirects=True).content == shared.mp3
    unknown = str(uuid.uuid4())
    assert (
        httpx.get(
            mine["downloadUrl"].replace(mine["downloadUrl"].split("/")[5], unknown), follow_redirects=True
        ).status_code
        == 404
    )
