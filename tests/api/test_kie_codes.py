"""kie's face: keys, credits, limits and the codes of its answers."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from stemwright.api.kie import routes as kie
from tests.api.conftest import OpenServer, Server
from tests.api.kie import (
    BOGUS,
    GENERATE,
    HOOK,
    RECORD_INFO,
    order,
    post,
    refused,
)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}, {"x-api-key": "x"}]
)
@pytest.mark.parametrize("path", [GENERATE, RECORD_INFO, "/api/v1/chat/credit", "/api/v1/nowhere"])
def test_without_a_good_key(shared: Server, path: str, headers: dict[str, str]) -> None:
    method = "POST" if path == GENERATE else "GET"
    reply = httpx.request(method, shared.url + path, headers=headers)
    assert (reply.status_code, reply.json()) == (200, {"code": 401, "msg": "You do not have access permissions"})


def test_a_revoked_key_and_one_that_may_only_read(shared: Server) -> None:
    body = order(shared)
    with shared.another("reader", account="alice", scopes=("read",)) as reader:
        assert reader.get("/api/v1/chat/credit").json()["code"] == 200
        reply = reader.post(GENERATE, json=body).json()
        assert (reply["code"], "does not have the scope write" in reply["msg"]) == (401, True)
        shared.service.keys.revoke("reader")
        assert reader.get("/api/v1/chat/credit").json() == {"code": 401, "msg": "You do not have access permissions"}


def test_the_key_is_taken_either_way(shared: Server) -> None:
    reply = httpx.get(f"{shared.url}/api/v1/chat/credit", headers={"x-api-key": shared.key})
    assert reply.json() == {"code": 200, "msg": "success", "data": 1_000_000}


def test_credits_are_charged_and_given_back(server: Server) -> None:
    track = server.add_track()
    body = {"taskId": track.task_id, "audioId": track.id, "callBackUrl": HOOK}
    server.service.ledger.grant("alice", 65_25)

    def credit() -> Any:
        return server.client.get("/api/v1/chat/credit").json()["data"]

    assert credit() == 65.25 == server.client.get("/api/v1/generate/credit").json()["data"]
    split = post(server, body | {"type": "split_stem"})["data"]["taskId"]
    assert credit() == 15.25
    assert post(server, body)["code"] == 200
    assert credit() == 5.25
    short = "The current credits are insufficient. Please top up."
    for kind in ("separate_vocal", "split_stem", "split_stem_advanced"):
        assert refused(server, body | {"type": kind, "stemName": "Bass"}) == (402, short)
    server.fail(split, 500, "It broke.")
    assert credit() == 55.25
    assert post(server, body | {"type": "split_stem_advanced", "stemName": "Bass"})["code"] == 200
    assert credit() == 35.25


def test_too_fast(open_server: OpenServer) -> None:
    server = open_server(rate_limit="2/600")
    body = order(server)
    assert [post(server, body)["code"] for _ in range(2)] == [200, 200]
    reply = server.client.post(GENERATE, json=body)
    assert reply.status_code == 200
    assert reply.json() == {
        "code": 429,
        "msg": "Your call frequency is too high. Please try again later.",
        "data": None,
    }
    assert 1 <= int(reply.headers["retry-after"]) <= 600


def test_too_many_at_once(open_server: OpenServer) -> None:
    server = open_server(max_running=1)
    assert post(server, order(server))["code"] == 200
    reply = server.client.post(GENERATE, json=order(server))
    assert reply.json()["code"] == 429 and int(reply.headers["retry-after"]) > 0


def test_maintenance_and_types_that_are_switched_off(open_server: OpenServer) -> None:
    server = open_server(disabled="split_stem")
    assert refused(server, order(server, type="split_stem")) == (505, "split_stem is switched off on this server.")
    server.maintain()
    assert refused(server, order(server)) == (455, "The service is under maintenance. Please try again later.")


def test_paths_that_are_not_there_and_wrong_methods(shared: Server) -> None:
    for path in ("/api/v1/generate", "/api/v1/vocal-removal", "/api/v1/mp4/generate", "/api/v1", "/api/other"):
        assert shared.client.post(path).json() == {
            "code": 404,
            "msg": f"{path} is not offered by this server.",
            "data": None,
        }
    for path, method in kie.METHODS.items():
        for wrong in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - {method}:
            reply = shared.client.request(wrong, path)
            assert reply.status_code == 200
            assert reply.json() == {"code": 405, "msg": f"{path} takes {method}, not {wrong}.", "data": None}


def test_a_fault_is_told_without_a_traceback(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(type(server.service.tasks), "get", fail)
    reply = server.client.get(RECORD_INFO, params={"taskId": uuid.uuid4().hex})
    assert (reply.status_code, reply.json()) == (
        200,
        {"code": 500, "msg": "Server Error - Please try again later.", "data": None},
    )


def test_the_status_mirrors_the_code_where_that_is_set(open_server: OpenServer) -> None:
    server = open_server(mirror_status=True, rate_limit="1/60")
    body = order(server)
    assert server.client.post(GENERATE, json=BOGUS).status_code == 422
    assert server.client.post(GENERATE, content=b"{").status_code == 400
    assert server.client.get("/api/v1/nowhere").status_code == 404
    assert server.client.get(GENERATE).status_code == 405
    assert httpx.get(f"{server.url}/api/v1/chat/credit").status_code == 401
    assert server.client.post(GENERATE, json=body).status_code == 200
    fast = server.client.post(GENERATE, json=body)
    assert (fast.status_code, "retry-after" in fast.headers) == (429, True)
    server.maintain()
    with server.another() as bob:
        assert bob.post(GENERATE, json={"audioUrl": HOOK}).status_code == 455


def test_codes_of_the_sister(open_server: OpenServer) -> None:
    server = open_server(dialect="sunoapi", rate_limit="1/60")
    body = order(server)
    assert refused(server, BOGUS) == (400, "Record does not exist")
    assert refused(server, {}) == (400, "taskId cannot be blank")
    assert server.client.get(GENERATE).json()["code"] == 404
    assert httpx.get(f"{server.url}/api/v1/chat/credit").json()["code"] == 401
    with server.another(credits_hundredths=0) as poor:
        track = server.service.links.track_url(server.add_track())
        assert poor.post(GENERATE, json={"audioUrl": track}).json() == {
            "code": 429,
            "msg": "The current credits are insufficient. Please top up.",
            "data": None,
        }
    assert post(server, body)["code"] == 200
    assert refused(server, body) == (430, "Your call frequency is too high. Please try again later.")
    busy = open_server(dialect="sunoapi", max_running=1)
    assert post(busy, order(busy))["code"] == 200
    assert refused(busy, order(busy))[0] == 405
