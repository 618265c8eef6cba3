"""The operator's endpoints: who may use them, what they say, and downloads of models."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import stemwright
from stemwright.database import tables
from stemwright.models import registry, weight_store
from stemwright.service.model_downloads import ModelDownloads
from tests.api.conftest import OpenServer, Server
from tests.api.native import hex_id, order, problem
from tests.models.small_registry import Mirror, small_registry
from tests.waiting import wait_until

PATHS = (
    ("GET", "/v1/operator"),
    ("GET", "/v1/operator/tasks"),
    ("GET", "/v1/operator/throughput"),
    ("GET", "/v1/operator/settings"),
    ("GET", "/v1/operator/models"),
    ("PUT", "/v1/operator/maintenance"),
    ("POST", "/v1/operator/models/none/download"),
)
MODEL = "mel-band-roformer-kim"


def operator(server: Server) -> httpx.Client:
    return server.another(scopes=("read", "write", "operator"))


def test_only_operators_see_the_whole_server(shared: Server) -> None:
    for method, path in PATHS:
        problem(shared.client.request(method, path), 403, "not-permitted")
        problem(httpx.request(method, shared.url + path), 401, "not-authenticated")


def test_the_overview_counts(server: Server) -> None:
    made = [order(server) for _ in range(3)]
    server.succeed(hex_id(made[0]))
    server.hold(hex_id(made[1]))
    with operator(server) as client:
        seen = client.get("/v1/operator").json()
    assert (seen["version"], seen["maintenance"]) == (stemwright.__version__, False)
    assert (seen["waiting"], seen["running"], seen["accounts"], seen["tracks"]) == (1, 1, 2, 3)
    assert seen["tasks"] == {"pending": 1, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert seen["storage"]["stored_bytes"] == len(server.mp3) and seen["storage"]["free_bytes"] > 0
    assert seen["workers"] == {"ready": None, "configured": 1}


def test_maintenance_refuses_new_tasks_until_it_is_off(server: Server) -> None:
    with operator(server) as client:
        assert client.put("/v1/operator/maintenance", json={"on": True}).json() == {"on": True}
        body = {"url": "https://files.example/a.mp3"}
        problem(server.client.post("/v1/separations", json=body), 503, "under-maintenance")
        assert client.get("/v1/operator").json()["maintenance"] is True
        client.put("/v1/operator/maintenance", json={"on": False})
        assert server.client.post("/v1/separations", json=body).status_code == 201
        problem(client.put("/v1/operator/maintenance", json={"on": "yes"}), 422, "invalid-request")


def test_tasks_of_all_accounts_with_reasons(server: Server) -> None:
    made = [order(server) for _ in range(3)]
    server.fail(hex_id(made[0]), 500, "The song cannot be decoded.")
    with server.another("bob") as bob, operator(server) as client:
        theirs = bob.post("/v1/separations", json={"url": "https://files.example/a.mp3"}).json()
        first = client.get("/v1/operator/tasks", params={"limit": 3}).json()
        assert [(one["id"], one["account"]) for one in first["tasks"]] == [
            (theirs["id"], "bob"),
            (made[2]["id"], "alice"),
            (made[1]["id"], "alice"),
        ]
        last = client.get("/v1/operator/tasks", params={"limit": 3, "after": first["next"]}).json()
        assert [one["id"] for one in last["tasks"]] == [made[0]["id"]] and last["next"] is None
        (failed,) = client.get("/v1/operator/tasks", params={"state": "failed"}).json()["tasks"]
        assert failed["error"] == {"code": 500, "message": "The song cannot be decoded."}
        assert (failed["api"], failed["kind"], failed["title"]) == ("native", "v1", "My song")


def test_throughput_counts_work_once(open_server: OpenServer) -> None:
    now = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
    server = open_server(clock=lambda: now.timestamp())

    def finish(*, song_s: float, took_s: float, cache_key: str | None) -> None:
        nonlocal now
        lease = server.hold(task_id := hex_id(order(server)))
        now += timedelta(seconds=took_s)
        server.succeed(task_id, seconds=song_s, lease=lease)
        with server.service.database.write() as session:
            session.get_one(tables.Task, task_id).cache_key = cache_key

    finish(song_s=180.0, took_s=10.0, cache_key="a")
    finish(song_s=120.0, took_s=20.0, cache_key="b")
    finish(song_s=180.0, took_s=0.0, cache_key="a")  # its stems were there
    server.fail(hex_id(order(server)), 500, "The song cannot be decoded.")
    now += timedelta(hours=1)
    with operator(server) as client:
        found = client.get("/v1/operator/throughput", params={"hours": 3}).json()
        assert found["step_hours"] == 1
        assert [(one["begins_at"][11:16], one["succeeded"], one["failed"]) for one in found["steps"]] == [
            ("11:00", 0, 0),
            ("12:00", 3, 1),
            ("13:00", 0, 0),
        ]
        assert [one["real_time_factor"] for one in found["steps"]] == [None, 10.0, None]
        long = client.get("/v1/operator/throughput", params={"hours": 744}).json()
        assert long["step_hours"] == 8 and sum(one["succeeded"] for one in long["steps"]) == 3
        problem(client.get("/v1/operator/throughput", params={"hours": 745}), 422, "invalid-request")


def test_settings_show_no_secret(open_server: OpenServer) -> None:
    server = open_server(
        webhook_key="a-secret", upstream_kie_url="https://user:hidden@mirror.example/kie?k=concealed", quota_mb=7
    )
    with operator(server) as client:
        reply = client.get("/v1/operator/settings")
    settings = {one["variable"]: one for one in reply.json()["settings"]}
    assert not any(secret in reply.text for secret in ("a-secret", "hidden", "concealed"))
    assert settings["STEMWRIGHT_WEBHOOK_KEY"]["value"] == "set"
    assert settings["STEMWRIGHT_UPSTREAM_KIE_URL"]["value"] == "https://mirror.example/kie"
    assert (settings["STEMWRIGHT_QUOTA_MB"]["value"], settings["STEMWRIGHT_QUOTA_MB"]["is_default"]) == ("7", False)
    assert settings["STEMWRIGHT_UPSTREAM_CRUN_KEY"] | {"description": ""} == {
        "variable": "STEMWRIGHT_UPSTREAM_CRUN_KEY",
        "value": None,
        "is_default": True,
        "description": "",
    }


class TestModels:
    @pytest.fixture
    def mirror(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
        monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
        with small_registry(tmp_path, monkeypatch, MODEL) as mirror:
            yield mirror

    @staticmethod
    def model(client: httpx.Client) -> dict[str, Any]:
        models = client.get("/v1/operator/models").json()["models"]
        (in_wheel,) = (one for one in models if one["in_wheel"])
        assert in_wheel["installed"] and in_wheel["permissive"] and in_wheel["download"] is None
        return next(one for one in models if one["name"] == MODEL)

    def test_a_model_is_downloaded_beside_the_requests(self, server: Server, mirror: Mirror) -> None:
        with operator(server) as client:
            before = self.model(client)
            assert not before["installed"] and before["licence"] == registry.find(MODEL).licence
            assert client.post(f"/v1/operator/models/{MODEL}/download").status_code == 202
            wait_until(lambda: self.model(client)["installed"])
            assert weight_store.is_available(registry.find(MODEL)) and len(mirror.asked) == 1
            problem(client.post(f"/v1/operator/models/{MODEL}/download"), 409, "conflict")
            problem(client.post("/v1/operator/models/none/download"), 404, "not-found")

    def test_a_failure_says_why_and_can_be_tried_again(self, server: Server, mirror: Mirror) -> None:
        (file,) = registry.find(MODEL).files
        content = (mirror.folder / file.name).read_bytes()
        (mirror.folder / file.name).write_bytes(content[:-1] + b"x")
        with operator(server) as client:
            client.post(f"/v1/operator/models/{MODEL}/download")
            wait_until(lambda: (self.model(client)["download"] or {}).get("state") == "failed")
            assert "SHA-256" in self.model(client)["download"]["error"]
            (mirror.folder / file.name).write_bytes(content)
            client.post(f"/v1/operator/models/{MODEL}/download")
            wait_until(lambda: self.model(client)["installed"])

    def test_a_second_request_joins_the_first_and_closing_stops_it(self, mirror: Mirror) -> None:
        begun, cancelled = threading.Event(), threading.Event()

        def fetch(*_: object, is_cancelled: Any, **__: object) -> None:
            begun.set()
            wait_until(is_cancelled)
            cancelled.set()

        downloads = ModelDownloads(fetch)
        downloads.start(MODEL)
        assert begun.wait(60)
        assert downloads.start(MODEL).state == "waiting"
        downloads.close()
        assert cancelled.is_set() and mirror.asked == []
