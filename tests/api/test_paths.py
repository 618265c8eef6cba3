"""A doubled slash and one at the end of a path mean nothing, on every face."""

from __future__ import annotations

import httpx
import pytest

from stemwright.api.paths import normalize_path
from tests.api.conftest import OpenServer, Server
from tests.stand_in import KIE_KEY, StandIn


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        (b"/api/v1", b"/api/v1"),
        (b"//api//v1///", b"/api/v1"),
        (b"/", b"/"),
        (b"//", b"/"),
        (b"/a%2F%2Fb/", b"/a%2F%2Fb"),
        (b"*", b"*"),
    ],
)
def test_plain_paths(path: bytes, plain: bytes) -> None:
    assert normalize_path(path) == plain


def ways(path: str) -> list[str]:
    return [path, "/" + path, path.replace("/v1", "//v1"), path + "/", f"//{path}//"]


@pytest.mark.parametrize("path", ["/api/v1/chat/credit", "/api/v1/client/account/balance", "/v1/credits", "/livez"])
def test_every_face_answers_the_same(shared: Server, path: str) -> None:
    replies = [shared.client.get(shared.url + way) for way in ways(path)]
    assert [(reply.status_code, reply.json()) for reply in replies[1:]] == [(200, replies[0].json())] * 4


def test_an_order_is_taken_and_not_redirected(shared: Server) -> None:
    track = shared.add_track()
    kie = {"taskId": track.task_id, "audioId": track.id}
    for way in ways("/api/v1/vocal-removal/generate"):
        assert shared.client.post(shared.url + way, json=kie).json()["code"] == 200
    for way in ways("/v1/separations"):
        assert shared.client.post(shared.url + way, json={"track_id": track.id}).status_code == 201


def test_files_and_refusals(shared: Server) -> None:
    link = shared.service.links.track_url(shared.add_track())
    assert httpx.get(link.replace("/t/", "//t/") + "/", follow_redirects=True).content == shared.mp3
    reply = shared.client.get(f"{shared.url}//api/v1//nowhere/").json()
    assert reply == {"code": 404, "msg": "/api/v1/nowhere is not offered by this server.", "data": None}


@pytest.mark.parametrize(
    ("root", "status", "code"),
    [("/api", 200, 404), ("/api/v1", 200, 404), ("/api/v1/client", 505, 505), ("/v1", 404, None)],
)
def test_the_root_of_each_face_is_of_that_face(shared: Server, root: str, status: int, code: int | None) -> None:
    replies = [shared.client.get(root + end) for end in ("", "/", "//")]
    assert {(reply.status_code, reply.json().get("code")) for reply in replies} == {(status, code)}


def test_the_vendor_is_asked_by_the_plain_path(open_server: OpenServer) -> None:
    with StandIn() as world:
        server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
        made = server.client.post(f"{server.url}//api//v1/generate/", json={"prompt": "la"}).json()
        assert made["code"] == 200 and len(world.of("/api/v1/generate")) == 1
