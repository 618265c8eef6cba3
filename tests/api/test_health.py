"""What operators and their tools ask."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from stemwright.api.app import create_app, create_health_app
from tests.api.conftest import OpenServer, Server
from tests.server_state import IN_FILES


def figures(server: Server) -> dict[tuple[str, str], float]:
    """Every figure, by its name and its state or version."""
    reply = httpx.get(f"{server.url}/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_alive_and_ready_without_a_key(server: Server) -> None:
    assert httpx.get(f"{server.url}/livez").json() == {"status": "alive"}
    reply = httpx.get(f"{server.url}/readyz")
    assert reply.status_code == 200
    assert reply.json() == {"status": "ready", "database": "ok", "storage": "ok", "workers": "ok"}


@IN_FILES
def test_monitors_may_ask_with_head(server: Server) -> None:
    for path in ("/livez", "/readyz"):
        reply = httpx.head(f"{server.url}{path}")
        assert (reply.status_code, reply.content) == (200, b"")
    shutil.rmtree(server.service.settings.data / "files")
    assert httpx.head(f"{server.url}/readyz").status_code == 503


@IN_FILES
def test_not_ready_without_its_files(server: Server) -> None:
    shutil.rmtree(server.service.settings.data / "files")
    reply = httpx.get(f"{server.url}/readyz")
    assert reply.status_code == 503
    view = reply.json()
    assert view.pop("storage").startswith("cannot be written: free some space")
    assert view == {"status": "not ready", "database": "ok", "workers": "ok"}
    assert httpx.get(f"{server.url}/livez").status_code == 200


def test_not_ready_on_the_tables_of_an_older_release(server: Server) -> None:
    with server.service.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    reply = httpx.get(f"{server.url}/readyz")
    assert reply.status_code == 503
    assert reply.json()["database"].startswith("has the tables of an older release: ")


def test_ready_on_the_tables_of_the_next_release(server: Server) -> None:
    """While an upgrade is under way, servers of both releases run."""
    with server.service.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_not_ready_without_its_database(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OperationalError("SELECT 1", {}, Exception("disk I/O error"))

    monkeypatch.setattr(server.service.database, "read", broken)
    reply = httpx.get(f"{server.url}/readyz")
    assert reply.status_code == 503
    assert reply.json()["database"].startswith("does not answer: check that its disk has free space")


def test_figures(server: Server) -> None:
    before = figures(server)
    assert before["stemwright_tasks", "pending"] == 0
    assert before["stemwright_tasks_ended", "succeeded"] == 0
    assert before["stemwright_callback_lag_seconds", ""] == 0
    assert before["stemwright_disk_free_bytes", ""] > 0
    assert before["process_resident_memory_bytes", ""] > 0
    for _ in range(2):
        server.client.post("/v1/separations", json={"track_id": server.add_track().id})
    server.succeed(server.client.get("/v1/separations").json()["separations"][0]["id"].replace("-", ""))
    after = figures(server)
    assert after["stemwright_tasks", "pending"] == 1
    assert after["stemwright_tasks_ended", "succeeded"] == 1
    (plan,) = {task.plan for task in server.service.tasks.list(server.caller.account_id)}
    assert after["stemwright_queue_depth", plan] == 1
    assert after["stemwright_queue_oldest_seconds", plan] >= 0


def test_requests_are_counted_by_route_and_not_by_path(server: Server) -> None:
    for _ in range(3):
        server.client.get(f"/v1/separations/{'0' * 32}")
    httpx.get(f"{server.url}/no/such/place")
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
        for sample in family.samples
        if sample.name == "stemwright_requests_total"
    }
    assert counted == {("/v1/separations/{separation_id}", "404"): 3, ("none", "404"): 1}


def test_not_ready_before_a_worker_is(server: Server) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(server.service, lambda: 0))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.get("/readyz")

    reply = asyncio.run(ask())
    assert reply.status_code == 503
    assert reply.json()["workers"].startswith("none is ready: ")


def test_a_worker_needs_no_key_to_work_but_its_metrics_do(server: Server) -> None:
    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(create_health_app(server.service, lambda: 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
            return await client.get(path)

    server.service.keys.revoke("alice")
    reply = asyncio.run(ask("/readyz"))
    assert reply.status_code == 200, reply.text
    assert "keys" not in reply.json()
    # It listens on all addresses, whatever the host of API servers is.
    assert asyncio.run(ask("/metrics")).status_code == 401


def test_not_ready_without_a_key(server: Server) -> None:
    server.service.keys.revoke("alice")
    reply = httpx.get(f"{server.url}/readyz")
    assert reply.status_code == 503
    assert reply.json()["keys"] == "none is in use: run `stemwright keys create NAME --data DIR` on the server."


@pytest.mark.parametrize(
    ("settings", "stranger", "holder"),
    [
        ({"metrics": "off"}, 404, 404),
        ({"metrics": "key"}, 401, 200),
        ({"metrics": "open"}, 200, 200),
        ({}, 200, 200),
        ({"public_url": "https://stems.example.org"}, 401, 200),
        ({"trusted_proxies": "127.0.0.1"}, 401, 200),
        ({"host": "0.0.0.0"}, 401, 200),
    ],
)
def test_who_may_read_the_figures(
    open_server: OpenServer, settings: dict[str, object], stranger: int, holder: int
) -> None:
    server = open_server(**settings)
    for reply, status in ((httpx.get(f"{server.url}/metrics"), stranger), (server.client.get("/metrics"), holder)):
        assert reply.status_code == status
        if status >= 400:
            assert reply.headers["content-type"] == "application/problem+json"
    if stranger == 401:
        with server.another(scopes=("write",)) as writer:
            assert writer.get("/metrics").status_code == 403


def test_the_server_process_does_not_load_what_only_workers_need() -> None:
    """NumPy and SciPy took 40 of its 120 MB; songs are read and mixed in other processes."""
    code = "import sys, stemwright.api.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "av", "onnxruntime"} & set(done.stdout.split())
