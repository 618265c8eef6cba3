"""Requests that mean harm: every field of every endpoint with every wrong value, strange queries, headers and paths."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.api.conftest import Server
from tests.api.native import hex_id, order
from tests.api.raw_requests import answer
from tests.server_state import IN_FILES

KIE = "/api/v1/vocal-removal/generate"
CRUN = "/api/v1/client/job/CreateTask"
URL = "https://example.com/song.mp3"
ENDPOINTS: dict[str, dict[str, object]] = {
    KIE: {
        "taskId": None,
        "audioId": None,
        "audioUrl": URL,
        "type": "separate_vocal",
        "stemName": "Guitar",
        "callBackUrl": URL,
    },
    "/api/v1/common/download-url": {"url": URL},
    "/api/file-base64-upload": {"base64Data": "AAAA", "uploadPath": "audio", "fileName": "a.mp3"},
    "/api/file-url-upload": {"fileUrl": "http://127.0.0.1:1/", "uploadPath": "audio", "fileName": "a.mp3"},
    CRUN: {
        "model": "suno/vocal-separation",
        "callback_url": URL,
        "input": {"audio_url": URL, "mode": "vocal", "task_id": None, "suno_id": None},
    },
    "/api/v1/client/job/EstimateTask": {"model": "suno/vocal-separation", "input": {"mode": "vocal"}},
    "/api/v1/client/job/estimate-credits": {"model": "suno/vocal-separation", "input": {"mode": "vocal"}},
    "/v1/tracks": {"url": URL, "title": "song"},
    "/v1/separations": {
        "track_id": None,
        "url": URL,
        "stems": "two",
        "plan": "fast",
        "format": "wav",
        "bit_depth": 16,
        "bitrate_kbps": None,
        "callback_url": URL,
        "priority": 0,
    },
}

VALUES = (
    *("null", "true", "0", "-1", "3.5", "1e400", "-1e400", "1e-400", "9" * 401, "-" + "9" * 4000, "9" * 5000),
    *("9223372036854775808", "NaN", "Infinity", '""', '" "', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"'),
    *('"\\uffff"', '"\\u202e"', '"😀"', '"%00"', '"../../etc/passwd"', '"\'; DROP TABLE tasks; --"', '"{{7*7}}"'),
    *("[]", "{}", "[[]]", '{"a": {"b": null}}', "[null]", '["vocals", 7]', "[" * 40 + "]" * 40),
    *(f'"{"x" * 100_000}"', f'"{"0" * 32}"', f'"https://{"a" * 300}.com/"', f'"https://example.com/{"a" * 5000}"'),
)  # fmt: skip

BROKEN = (
    *(b"", b" ", b"null", b"[]", b"7", b'"text"', b"{", b'{"a"', b"{'a': 1}", b'{"a": 1,}', b'{"a": 1} {}', b"NaN"),
    *(b'{"a": "\xff\xfe"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\xaf"}', b'\x00{"a": 1}', b'{"a": "\n"}'),
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 50 + b"]" * 50 + b"}", b'{"a":' + b"9" * 900_000 + b"}"),
    *(b'{"\\ud800": 1}', b'{"\\u0000": 1}'),
)  # fmt: skip


def code_of(reply: httpx.Response) -> int:
    """What happened, as the face says it."""
    assert b"Traceback" not in reply.content
    if reply.headers["content-type"].startswith("application/json") and "code" in (content := reply.json()):
        return int(content["code"])
    return reply.status_code


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_field_takes_every_value_without_a_fault(shared: Server, path: str) -> None:
    planned = {200, 201, 400, 422, 505} if path.startswith("/api/v1/client/") else {200, 201, 400, 422}
    for body in spoilt(ENDPOINTS[path]):
        reply = shared.client.post(path, content=body.encode(), headers={"Content-Type": "application/json"})
        assert code_of(reply) in planned, (body[:300], reply.text)


def spoilt(whole: dict[str, object]) -> Iterator[str]:
    """The body with each of its fields, inner ones too, left out or changed into each of the values."""
    for name, value in whole.items():
        yield json.dumps({other: whole[other] for other in whole if other != name})
        changed = [*VALUES, *(spoilt(value) if isinstance(value, dict) else ())]
        for text in changed:
            yield json.dumps(whole | {name: "HERE"}).replace('"HERE"', text)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_what_is_no_json_object_is_a_bad_body(shared: Server, path: str) -> None:
    for body in BROKEN:
        reply = shared.client.post(path, content=body, headers={"Content-Type": "application/json"})
        # base64 is read as it comes, with little room for what is not the file.
        expected = {400, 413} if "base64" in path else {400}
        assert code_of(reply) in expected, (body[:60], reply.text)


def test_of_a_key_that_comes_twice_the_last_counts(shared: Server) -> None:
    content = b'{"url": "nonsense", "url": "https://example.com/song.mp3", "title": "a", "title": "b"}'
    assert shared.client.post("/v1/tracks", content=content).json()["title"] == "b"
    content = b'{"audioUrl": "https://example.com/song.mp3", "audioUrl": "nonsense"}'
    assert shared.client.post(KIE, content=content).json()["code"] == 422


@IN_FILES
def test_queries_and_headers_of_any_kind(shared: Server) -> None:
    ended = order(shared)
    shared.succeed(hex_id(ended))
    strange = ["", "%00", "%ff%fe", "%ed%a0%80", "'", "..%2f..", "9" * 400, "1e400", "a" * 20_000, "%f0%9f%98%80", "[]"]
    for value in strange:
        for path in (
            f"/api/v1/vocal-removal/record-info?taskId={value}",
            f"/api/v1/generate/record-info?taskId={value}",
            f"/api/v1/client/job/TaskInfo?task_id={value}",
            f"/api/v1/client/job/Models?modality={value}&operation={value}",
            f"/api/v1/client/files/upload-url?content_type={value}&ext={value}",
            f"/v1/separations?limit={value}&after={value}&state={value}",
            f"/v1/tracks?limit={value}&after={value}",
        ):
            assert said(shared, "GET", path) in (200, 404, 422, 505), path
    for header in (b"Authorization: Bearer \xff\xfe", b"x-api-key: " + b"k" * 20_000, b"Authorization: Bearer"):
        assert status(shared, b"GET /v1/credits HTTP/1.1\r\n" + header + b"\r\n") == 401
    key = f"Authorization: Bearer {shared.key}\r\n".encode()
    stem = httpx.URL(ended_stem(shared, ended)).raw_path
    for header in (
        b"Range: bytes=" + b"9" * 30 + b"-",
        b"Range: bytes=5-1",
        b"If-Range: \xff",
        b"If-None-Match: ,,\xff",
    ):
        assert status(shared, b"GET " + stem + b" HTTP/1.1\r\n" + header + b"\r\n") in (200, 416)
    strange_key = b"POST /v1/separations HTTP/1.1\r\nContent-Length: 2\r\nIdempotency-Key: \xff\r\n" + key
    assert status(shared, strange_key, b"{}") == 422
    assert status(shared, b"GET /v1/separations HTTP/1.1\r\nX: " + b"x" * 700_000 + b"\r\n" + key) == 400
    assert status(shared, b"GET /" + b"x" * 700_000 + b" HTTP/1.1\r\n" + key) == 400
    assert status(shared, b"GET /livez HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000))) == 400


CLIMBING = [
    *("..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "a%00b", "%ff", "%c0%ae%c0%ae", "..\\..", ".", "%0d%0aX:y"),
    "a" * 30_000,
]


@pytest.mark.parametrize("climbing", CLIMBING, ids=lambda path: path[:20])
def test_paths_that_climb_lead_nowhere(shared: Server, climbing: str) -> None:
    signature = f"4102444800-{'a' * 64}"
    for start in (
        *("/", "/v1/", "/v1/tracks/", "/v1/separations/", "/api/", "/api/v1/", "/api/v1/client/job/Models/"),
        *(f"/{letter}/" for letter in "stup"),
        *(f"/{letter}/{signature}/" for letter in "stup"),
    ):
        for end in ("", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/stemwright.db"):
            for method in ("GET", "PUT", "DELETE"):
                path = start + climbing + end
                assert said(shared, method, path) in (400, 404, 405, 411, 505), (method, path)


def test_uploads_are_put_nowhere_else(shared: Server) -> None:
    data = shared.service.settings.data
    before = {path for path in data.parent.rglob("*") if "files" not in path.parts}
    for folder in ("../..", "/etc", "a/../../b", "..\\..", "C:\\", "\u202e", "a/./b", "%2e%2e/%2e%2e"):
        for name in ("../x.mp3", "..", "/etc/passwd", "x\u0000.mp3", "x.mp3"):
            form = shared.client.post(
                "/api/file-stream-upload", data={"uploadPath": folder, "fileName": name}, files={"file": ("a", b"x")}
            ).json()
            if form["code"] == 200:
                assert form["data"]["filePath"].split("/")[0] == "kieai"
                assert httpx.get(form["data"]["downloadUrl"], follow_redirects=True).content == b"x"
            else:
                assert form["code"] == 400
    assert {path for path in data.parent.rglob("*") if "files" not in path.parts} == before


def said(server: Server, method: str, path: str) -> int:
    """What a request is answered with whose path no library has tidied up."""
    head = f"{method} {path} HTTP/1.1\r\nAuthorization: Bearer {server.key}\r\n".encode()
    reply = answer(server.url, head)
    code = int(reply.split(b" ", 2)[1])
    assert b"Traceback" not in reply
    body = reply.partition(b"\r\n\r\n")[2]
    return int(json.loads(body)["code"]) if code == 200 and body.startswith(b'{"code"') else code


def status(server: Server, head: bytes, body: bytes = b"") -> int:
    return int(answer(server.url, head, body).split(b" ", 2)[1])


def ended_stem(server: Server, separation: dict[str, object]) -> str:
    task = server.task(hex_id(separation))
    return server.service.links.stem_url(task.stems[0], task)


@pytest.mark.parametrize("boundary", ["", "; boundary=", '; boundary=""', f"; boundary={'b' * 300}", "; boundary=\xff"])
def test_boundaries_that_are_none(shared: Server, boundary: str) -> None:
    kind = f"multipart/form-data{boundary}".encode("latin-1")
    for path in ("/v1/tracks", "/api/file-stream-upload"):
        reply = shared.client.post(path, content=b"--b\r\n\r\nx\r\n--b--\r\n", headers={b"content-type": kind})
        assert code_of(reply) == 400, reply.text
