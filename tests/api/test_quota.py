"""An account that keeps as many bytes as it may is told so in the envelope of each face."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.api.conftest import OpenServer, Server

MESSAGE = "is used up: delete songs or separations"


@pytest.fixture
def full(open_server: OpenServer) -> Server:
    """A server where alice has 100 bytes left of a megabyte."""
    server = open_server(quota_mb=1, rate_limit="0")
    server.service.tracks.add_stored(server.caller.account_id, server.store(bytes(999_900)), title="song")
    return server


def test_uploads(full: Server) -> None:
    song, client = bytes(range(200)), full.client
    offer = client.get("/api/v1/client/files/upload-url", params={"content_type": "audio/mpeg", "ext": "mp3"})
    assert offer.status_code == 200
    put = httpx.put(offer.json()["data"]["presigned_url"], content=song, headers={"Content-Type": "audio/mpeg"})
    assert (put.status_code, put.json()["code"]) == (413, 413) and MESSAGE in put.json()["message"]
    own = client.post("/v1/tracks", files={"file": ("a.mp3", song)})
    assert (own.status_code, own.json()["type"]) == (413, "urn:stemwright:problem:quota-exceeded")
    assert MESSAGE in own.json()["detail"]
    fields = {"uploadPath": "audio"}
    for reply in (
        client.post("/api/file-stream-upload", data=fields, files={"file": ("a.mp3", song)}),
        client.post("/api/file-base64-upload", json=fields | {"base64Data": base64.b64encode(song).decode()}),
    ):
        assert (reply.status_code, reply.json()["code"], reply.json()["success"]) == (200, 400, False)
        assert MESSAGE in reply.json()["msg"]
    assert len(list(full.service.store.digests())) == 1, "nothing of them is stored"
    assert client.post("/v1/tracks", files={"file": ("a.mp3", song[:50])}).status_code == 201


def test_orders(full: Server) -> None:
    full.service.tracks.add_stored(full.caller.account_id, full.store(bytes(100)), title="the rest")
    url, client = "https://example.org/song.mp3", full.client
    kie = client.post("/api/v1/vocal-removal/generate", json={"audioUrl": url, "callBackUrl": url})
    assert (kie.status_code, kie.json()["code"]) == (200, 413) and MESSAGE in kie.json()["msg"]
    order = {"model": "suno/vocal-separation", "input": {"audio_url": url, "mode": "vocal"}}
    crun = client.post("/api/v1/client/job/CreateTask", json=order)
    assert (crun.status_code, crun.json()["code"]) == (413, 413) and MESSAGE in crun.json()["message"]
    own = client.post("/v1/separations", json={"url": url})
    assert (own.status_code, own.json()["type"]) == (413, "urn:stemwright:problem:quota-exceeded")
    with full.another() as bob:
        assert bob.post("/v1/separations", json={"url": url}).status_code == 201
