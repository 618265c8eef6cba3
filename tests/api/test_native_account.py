"""Keys, usage and callbacks of an account over HTTP."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from stemwright.service.account_keys import MAX_KEYS
from tests.api.conftest import OpenServer, Server
from tests.api.native import hex_id, order, problem, receiver

PAGE = {"X-Stemwright-Page": "1"}


def created(client: httpx.Client, **body: Any) -> dict[str, Any]:
    reply = client.post("/v1/keys", json={"name": f"key-{uuid.uuid4()}", **body})
    assert reply.status_code == 201, reply.text
    assert reply.headers["cache-control"] == "no-store"
    return dict(reply.json())


class TestKeys:
    def test_a_key_is_shown_once_works_and_is_revoked(self, shared: Server) -> None:
        made = created(shared.client, name="  phone ", scopes=["read"])
        assert made["name"] == "phone" and made["key"].startswith(made["hint"]) and made["scopes"] == ["read"]
        listed = shared.client.get("/v1/keys")
        assert made["key"] not in listed.text
        assert {name: value for name, value in made.items() if name != "key"} in listed.json()["keys"]
        with httpx.Client(base_url=shared.url, headers={"x-api-key": made["key"]}) as phone:
            assert phone.get("/v1/account").json()["key"]["id"] == made["id"]
            problem(phone.post("/v1/keys", json={"name": "more"}), 403, "not-permitted")
            assert shared.client.delete(f"/v1/keys/{made['id']}").status_code == 204
            problem(phone.get("/v1/account"), 401, "not-authenticated")
        problem(shared.client.delete(f"/v1/keys/{made['id']}"), 404, "not-found")
        assert made["id"] not in shared.client.get("/v1/keys").text
        created(shared.client, name="phone")  # the name is free again

    def test_a_key_gives_no_more_than_it_has(self, shared: Server) -> None:
        reply = shared.client.post("/v1/keys", json={"name": "root", "scopes": ["read", "write", "operator"]})
        problem(reply, 403, "not-permitted")
        with shared.another(scopes=("read", "write", "operator"), rate_limit="5/60", max_running=2) as limited:
            made = created(limited, scopes=["operator"])
            assert (made["rate_limit"], made["max_running"]) == ("5/60", 2), (
                "the limits of a key are those of its maker"
            )

    def test_accounts_have_names_of_their_own_and_see_no_others(self, shared: Server) -> None:
        made = created(shared.client, name="laptop")
        problem(shared.client.post("/v1/keys", json={"name": "laptop"}), 409, "conflict")
        with shared.another() as stranger:
            created(stranger, name="laptop")
            assert made["id"] not in stranger.get("/v1/keys").text
            problem(stranger.delete(f"/v1/keys/{made['id']}"), 404, "not-found")

    def test_there_is_a_limit(self, server: Server) -> None:
        for _ in range(MAX_KEYS - 1):
            created(server.client)
        problem(server.client.post("/v1/keys", json={"name": "one more"}), 409, "conflict")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": "  "},
            {"name": "x" * 201},
            {"name": "a", "scopes": []},
            {"name": "a", "scopes": ["fly"]},
            {"name": "a", "rate_limit": "0"},
        ],
    )
    def test_what_makes_no_sense_makes_no_key(self, shared: Server, body: dict[str, object]) -> None:
        problem(shared.client.post("/v1/keys", json=body), 422, "invalid-request")


class TestUsage:
    def test_days_have_what_was_charged_and_given_back(self, open_server: OpenServer) -> None:
        now = datetime(2026, 3, 10, 23, 59, tzinfo=UTC)
        server = open_server(clock=lambda: now.timestamp(), prices={"v1": 2.5})
        server.service.ledger.grant("alice", 10_000)
        first, second = order(server), order(server)
        now += timedelta(minutes=2)
        server.succeed(hex_id(first), seconds=90.0)
        server.fail(hex_id(second), 500, "The song cannot be decoded.")
        days = server.client.get("/v1/usage", params={"days": 3}).json()["days"]
        assert days == [
            {"day": "2026-03-09", "credits": 0.0, "separations": 0, "seconds": 0.0},
            {"day": "2026-03-10", "credits": 5.0, "separations": 2, "seconds": 90.0},
            {"day": "2026-03-11", "credits": -2.5, "separations": 0, "seconds": 0.0},
        ]
        assert len(server.client.get("/v1/usage").json()["days"]) == 30
        with server.another() as stranger:
            assert not any(day["separations"] for day in stranger.get("/v1/usage").json()["days"])

    @pytest.mark.parametrize("days", ["0", "367", "many"])
    def test_days_are_from_1_to_366(self, shared: Server, days: str) -> None:
        problem(shared.client.get("/v1/usage", params={"days": days}), 422, "invalid-request")


class TestDeliveries:
    def test_all_attempts_in_pages_and_again(self, server: Server) -> None:
        with receiver() as (hook, received):
            made = [order(server, callback_url=hook if number else f"{hook}-closed:0") for number in range(3)]
            for one in made:
                server.succeed(hex_id(one))
            server.deliver()
            assert len(received) == 2 or len(received) == 3
            seen: list[dict[str, Any]] = []
            after = None
            while True:
                params = {"limit": 2} | ({"after": after} if after else {})
                page = server.client.get("/v1/deliveries", params=params).json()
                seen += page["deliveries"]
                after = page["next"]
                if after is None:
                    break
            first = [one for one in seen if one["attempt"] == 1]
            assert [one["separation_id"] for one in first] == [one["id"] for one in made][::-1]
            assert {one["callback_url"] for one in first} == {hook, f"{hook}-closed:0"}
            assert server.client.post(f"/v1/separations/{made[1]['id']}/deliveries/replay").status_code == 202
            newest = server.client.get("/v1/deliveries", params={"limit": 1}).json()["deliveries"][0]
            assert (newest["separation_id"], newest["attempt"], newest["state"]) == (made[1]["id"], 2, "pending")
            with server.another() as stranger:
                assert stranger.get("/v1/deliveries").json() == {"deliveries": [], "next": None}
                problem(stranger.get("/v1/deliveries", params={"after": newest["id"]}), 404, "not-found")
