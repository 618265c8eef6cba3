"""Our own API, over HTTP on a running server: orders, and who may do what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stemwright.database import tables
from stemwright.service.submissions import MAINTENANCE
from tests.api.conftest import Server
from tests.api.native import hex_id, order, problem

OpenServer = Callable[..., Server]


class TestOrders:
    def test_what_comes_back(self, server: Server) -> None:
        separation = order(server, stems=["drums", "bass"], format="flac", bit_depth=24)
        assert separation["state"] == "pending"
        assert separation["mode"] == "drums,bass"
        assert (separation["format"], separation["bit_depth"]) == ("flac", 24)
        assert server.client.get(f"/v1/separations/{hex_id(separation)}").json() == separation
        task = server.task(hex_id(separation))
        assert (task.face, task.kind, task.plan) == ("native", "v1", "fast")

    def test_by_address(self, server: Server) -> None:
        reply = server.client.post("/v1/separations", json={"url": "https://example.com/song.mp3"})
        assert reply.status_code == 201
        task = server.task(hex_id(reply.json()))
        assert task.source_url == "https://example.com/song.mp3"

    def test_wrong_fields_are_named(self, server: Server) -> None:
        track_id = server.add_track().id
        cases: list[tuple[dict[str, Any], str]] = [
            ({"stems": "kazoo"}, "stems"),
            ({"stems": ["drums", "drums"]}, "stems"),
            ({"stems": []}, "stems"),
            ({"stems": 12}, "stems"),
            ({"plan": "slow"}, "plan"),
            ({"format": "xm"}, "format"),
            ({"format": "mp3", "bit_depth": 24}, "bit_depth"),
            ({"format": "flac", "bit_depth": 32}, "bit_depth"),
            ({"bit_depth": 20}, "bit_depth"),
            ({"format": "mp3", "bitrate_kbps": 5}, "bitrate_kbps"),
            ({"format": "wav", "bitrate_kbps": 128}, "bitrate_kbps"),
            ({"callback_url": "example.com"}, "callback_url"),
            ({"priority": 11}, "priority"),
            ({"priority": "1"}, "priority"),
            ({"kazoo": 1}, "kazoo"),
            ({"url": "https://example.com/a.mp3"}, "track_id"),
            ({"track_id": None}, "track_id"),
            ({"track_id": None, "url": "nowhere"}, "url"),
            ({"track_id": "no id"}, "track_id"),
            ({"track_id": "0" * 32}, "track_id"),
        ]
        for body, field in cases:
            reply = server.client.post("/v1/separations", json={"track_id": track_id, **body})
            facts = problem(reply, 422, "invalid-request")
            assert [one["field"] for one in facts["errors"]] == [field], body
        assert server.client.get("/v1/separations").json()["separations"] == []

    def test_bodies_that_are_no_json_object(self, server: Server) -> None:
        for content in (b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 9999):
            problem(server.client.post("/v1/separations", content=content), 400, "bad-body")

    def test_a_body_too_large(self, server: Server) -> None:
        problem(server.client.post("/v1/separations", content=b" " * 1_000_001), 413, "too-large")

    def test_idempotency(self, server: Server) -> None:
        body = {"track_id": server.add_track().id, "stems": "twelve"}
        headers = {"Idempotency-Key": "one"}
        first = server.client.post("/v1/separations", json=body, headers=headers)
        again = server.client.post("/v1/separations", json=dict(reversed(body.items())), headers=headers)
        assert first.status_code == again.status_code == 201
        assert first.json()["id"] == again.json()["id"]
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        other = server.client.post("/v1/separations", json={**body, "stems": "two"}, headers=headers)
        problem(other, 409, "conflict")
        assert len(server.client.get("/v1/separations").json()["separations"]) == 1
        problem(
            server.client.post("/v1/separations", json=body, headers={"Idempotency-Key": "x" * 256}),
            422,
            "invalid-request",
        )

    def test_limits_say_when_to_come_back(self, open_server: OpenServer) -> None:
        server = open_server(native_rate_limit="1/600", max_running=1)
        body = {"track_id": server.add_track().id}
        assert server.client.post("/v1/separations", json=body).status_code == 201
        reply = server.client.post("/v1/separations", json=body)
        problem(reply, 429, "too-fast")
        assert 1 <= int(reply.headers["Retry-After"]) <= 601
        with server.another("carol", account="alice", rate_limit="100/1") as carol:
            reply = carol.post("/v1/separations", json=body)
        problem(reply, 429, "too-many-running")
        assert int(reply.headers["Retry-After"]) >= 1

    def test_switched_off(self, open_server: OpenServer) -> None:
        server = open_server(disabled="v1")
        body = {"track_id": server.add_track().id}
        problem(server.client.post("/v1/separations", json=body), 403, "switched-off")

    def test_maintenance(self, server: Server) -> None:
        with server.service.database.write() as session:
            session.add(tables.Fact(name=MAINTENANCE, value="on"))
        reply = server.client.post("/v1/separations", json={"track_id": server.add_track().id})
        problem(reply, 503, "under-maintenance")
        assert int(reply.headers["Retry-After"]) >= 1

    def test_credits(self, open_server: OpenServer) -> None:
        server = open_server(prices={"v1": 7.5})
        with server.another("bob", credits_hundredths=1000) as bob:
            assert bob.get("/v1/credits").json() == {"metered": True, "credits": 10.0, "price": 7.5}
            body = {"url": "https://example.com/a.mp3"}
            assert bob.post("/v1/separations", json=body).json()["credits"] == 7.5
            problem(bob.post("/v1/separations", json=body), 402, "credits-insufficient")
            assert bob.get("/v1/credits").json()["credits"] == 2.5
        assert server.client.get("/v1/credits").json() == {"metered": False, "credits": None, "price": 7.5}


class TestDoors:
    def test_every_endpoint_wants_a_key(self, server: Server) -> None:
        endpoints = [
            ("POST", "/v1/tracks"),
            ("GET", "/v1/tracks"),
            ("GET", "/v1/tracks/x"),
            ("DELETE", "/v1/tracks/x"),
            ("POST", "/v1/separations"),
            ("GET", "/v1/separations"),
            ("GET", "/v1/separations/x"),
            ("DELETE", "/v1/separations/x"),
            ("POST", "/v1/separations/x/cancel"),
            ("GET", "/v1/separations/x/events"),
            ("GET", "/v1/separations/x/stems.zip"),
            ("GET", "/v1/separations/x/deliveries"),
            ("POST", "/v1/separations/x/deliveries/replay"),
            ("GET", "/v1/credits"),
            ("GET", "/v1/plans"),
        ]
        server.service.keys.revoke("alice")
        with httpx.Client(base_url=server.url) as stranger:
            for method, path in endpoints:
                for headers in ({}, {"Authorization": "Bearer sw_wrong"}, {"x-api-key": "sw_wrong"}):
                    reply = stranger.request(method, path, headers=headers)
                    problem(reply, 401, "not-authenticated")
                    assert reply.headers["WWW-Authenticate"] == "Bearer"
                problem(server.client.request(method, path), 401, "not-authenticated")

    def test_a_key_to_read_writes_nothing(self, server: Server) -> None:
        separation = order(server)
        with server.another("reader", account="alice", scopes=("read",)) as reader:
            assert reader.get(f"/v1/separations/{separation['id']}").status_code == 200
            for method, path in (
                ("POST", "/v1/tracks"),
                ("POST", "/v1/separations"),
                ("DELETE", f"/v1/separations/{separation['id']}"),
                ("POST", f"/v1/separations/{separation['id']}/cancel"),
            ):
                problem(reader.request(method, path), 403, "not-permitted")

    def test_nothing_of_one_account_is_seen_by_another(self, server: Server) -> None:
        separation = order(server, format="mp3")
        server.succeed(hex_id(separation))
        with server.another() as bob:
            assert bob.get("/v1/tracks").json()["tracks"] == []
            assert bob.get("/v1/separations").json()["separations"] == []
            for path in (
                f"/v1/tracks/{separation['track_id']}",
                f"/v1/separations/{separation['id']}",
                f"/v1/separations/{separation['id']}/events",
                f"/v1/separations/{separation['id']}/stems.zip",
                f"/v1/separations/{separation['id']}/deliveries",
            ):
                problem(bob.get(path), 404, "not-found")
            problem(bob.delete(f"/v1/tracks/{separation['track_id']}"), 404, "not-found")
            problem(bob.delete(f"/v1/separations/{separation['id']}"), 404, "not-found")
            problem(bob.post(f"/v1/separations/{separation['id']}/cancel"), 404, "not-found")
            reply = bob.post("/v1/separations", json={"track_id": separation["track_id"]})
            problem(reply, 422, "invalid-request")

    def test_unknown_addresses_and_methods(self, server: Server) -> None:
        problem(server.client.get("/v1/nothing"), 404, "not-found")
        problem(server.client.get("/v1/tracks/..%2F..%2Fetc%2Fpasswd%00"), 404, "not-found")
        reply = server.client.put("/v1/tracks")
        problem(reply, 405, "method-not-allowed")
        assert reply.headers["Allow"] == "GET, POST"

    def test_a_fault_is_told_without_its_traceback(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("secret words")

        monkeypatch.setattr(type(server.service.ledger), "balance", broken)
        reply = server.client.get("/v1/credits")
        problem(reply, 500, "fault")
        assert "secret" not in reply.text

    def test_plans(self, server: Server) -> None:
        plans = server.client.get("/v1/plans").json()["plans"]
        assert [plan["name"] for plan in plans] == ["auto", "fast", "stemwright-12"]
        assert len(plans[0]["stems"]) == 12
        assert plans[0]["models"] == plans[1]["models"] == [{"name": "stemwright-12", "licence": "MIT"}]
