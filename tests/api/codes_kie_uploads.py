"""How the rows of kie's uploads are provoked."""

from __future__ import annotations

import base64
from typing import Any
from unittest import mock

from stemwright.errors import StorageError
from stemwright.storage.store import Store
from tests.api.codes import (
    BODIES,
    SECRET,
    Outcome,
    Stage,
    asking,
    dripping,
    encoded,
    of_every_endpoint,
    outcome,
    provokes,
    scoped,
    sending,
)
from tests.api.codes_kie import post

BASE64, BY_URL, STREAM = (f"/api/file-{kind}-upload" for kind in ("base64", "url", "stream"))
ENDPOINTS = (("POST", BASE64), ("POST", BY_URL), ("POST", STREAM))

of_every_endpoint("kie uploads", *ENDPOINTS)


encoded("kie uploads", BASE64, BY_URL, STREAM)


@provokes("kie uploads", "every endpoint", "key without write")
def cannot_upload(stage: Stage) -> list[Outcome]:
    return scoped(stage, "read", *ENDPOINTS)


@provokes("kie uploads", "every endpoint", "wrong method")
def wrong_method(stage: Stage) -> list[Outcome]:
    server = stage.server()
    return asking(server, server.client, *(("GET", path) for _, path in ENDPOINTS))


def placed(**fields: Any) -> dict[str, Any]:
    data = {"base64Data": base64.b64encode(b"sound").decode(), "uploadPath": "audio", **fields}
    return {name: value for name, value in data.items() if value is not None}


UPLOADS: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("every endpoint", "uploadPath is missing or blank"): (BASE64, {"uploadPath": None}),
    ("every endpoint", "uploadPath goes upwards"): (BASE64, {"uploadPath": "a/../b"}),
    ("every endpoint", "fileName holds /, or is longer than 200 characters"): (BASE64, {"fileName": "a/b.mp3"}),
    ("POST base64, POST url", "a field is no string"): (BASE64, {"uploadPath": 7}),
    ("POST base64", "base64Data is missing or blank"): (BASE64, {"base64Data": ""}),
    ("POST base64", "base64Data is no base64"): (BASE64, {"base64Data": "*"}),
    ("POST url", "fileUrl is missing or blank"): (BY_URL, {}),
    ("POST url", "fileUrl is malformed"): (BY_URL, {"fileUrl": "mix.mp3"}),
}
for (endpoint, cause), (path, fields) in UPLOADS.items():

    @provokes("kie uploads", endpoint, cause)
    def upload(stage: Stage, path: str = path, fields: dict[str, Any] = fields) -> Outcome:
        return post(stage.server(), path, placed(**fields))


for cause in ("the body is not JSON", "the body is no JSON object"):
    provokes("kie uploads", "POST base64, POST url", cause)(sending(BODIES[cause], BASE64, BY_URL))


@provokes("kie uploads", "POST url", "the file could not be fetched")
def upload_unfetched(stage: Stage) -> Outcome:
    return post(stage.server(), BY_URL, placed(fileUrl=f"{stage.world.url}/faults/status?code=404"))


@provokes("kie uploads", "every endpoint", "the file is too large")
def upload_too_large(stage: Stage) -> list[Outcome]:
    server, large = stage.server(max_upload_mb=1), b"a" * 1_000_001
    form = {"file": ("a.mp3", large)}
    return [
        post(server, BASE64, placed(base64Data=base64.b64encode(large).decode())),
        outcome(server, lambda: server.client.post(STREAM, files=form, data={"uploadPath": "audio"})),
    ]


@provokes("kie uploads", "every endpoint", "nothing can be stored")
def upload_without_room(stage: Stage) -> Outcome:
    with mock.patch.object(Store, "writer", side_effect=StorageError(f"No room is left in {SECRET}.")):
        return post(stage.server(), BASE64, placed())


def streaming(cause: str, *files: tuple[str, bytes], content: bytes | None = None) -> None:
    @provokes("kie uploads", "POST stream", cause)
    def stream(stage: Stage) -> Outcome:
        server = stage.server()
        if content is not None:
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            return outcome(server, lambda: server.client.post(STREAM, content=content, headers=headers))
        parts = [(name, ("a.mp3", data)) for name, data in files]
        return outcome(server, lambda: server.client.post(STREAM, files=parts, data={"uploadPath": "audio"}))


streaming("the body is no form")
streaming("file is missing or empty", ("file", b""))
streaming("the file is in another field", ("song", b"sound"))
streaming("two files", ("file", b"sound"), ("file", b"sound"))
streaming("the form is cut off", content=b'--b\r\nContent-Disposition: form-data; name="uploadPath"\r\n\r\naud')
provokes("kie uploads", "POST stream", "no byte arrives for a minute")(
    dripping(STREAM, b"--b\r\n", {"Content-Type": "multipart/form-data; boundary=b"})
)
provokes("kie uploads", "POST base64", "no byte arrives for a minute")(dripping(BASE64, b'{"base64Data": "'))


@provokes("kie uploads", "POST base64", "fields of more than 20 kB")
def many_fields(stage: Stage) -> Outcome:
    return post(stage.server(), BASE64, placed(other="a" * 20_000))


@provokes("kie uploads", "POST stream", "fields of more than 10 kB")
def long_fields(stage: Stage) -> Outcome:
    server, form = stage.server(), {"file": ("a.mp3", b"sound")}
    return outcome(server, lambda: server.client.post(STREAM, files=form, data={"uploadPath": "a" * 10_001}))


@provokes("kie uploads", "POST stream", "hundreds of parts")
def many_parts(stage: Stage) -> Outcome:
    server, form = stage.server(), {"file": ("a.mp3", b"sound")}
    fields = {"uploadPath": "audio", **{f"field-{number}": "" for number in range(1000)}}
    return outcome(server, lambda: server.client.post(STREAM, files=form, data=fields))
