"""What operators and their tools ask."""

from __future__ import annotations

import shutil

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from tests.api.conftest import Server


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
    assert reply.json() == {"status": "ready", "database": "ok", "storage": "ok"}


def test_not_ready_without_its_files(server: Server) -> None:
    shutil.rmtree(server.service.settings.data / "files")
    reply = httpx.get(f"{server.url}/readyz")
    assert reply.status_code == 503
    assert reply.json() == {"status": "not ready", "database": "ok", "storage": "cannot be written"}
    assert httpx.get(f"{server.url}/livez").status_code == 200


def test_not_ready_without_its_database(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OperationalError("SELECT 1", {}, Exception("disk I/O error"))

    monkeypatch.setattr(server.service.database, "read", broken)
    reply = httpx.get(f"{server.url}/readyz")
    assert reply.status_code == 503
    assert reply.json()["database"] == "does not answer"


def test_figures(server: Server) -> None:
    before = figures(server)
    assert before["stemwright_tasks", "pending"] == 0
    assert before["stemwright_queue_depth", ""] == 0
    assert before["stemwright_disk_free_bytes", ""] > 0
    assert before["process_resident_memory_bytes", ""] > 0
    for _ in range(2):
        server.client.post("/v1/separations", json={"track_id": server.add_track().id})
    server.succeed(server.client.get("/v1/separations").json()["separations"][0]["id"].replace("-", ""))
    after = figures(server)
    assert after["stemwright_tasks", "pending"] == 1
    assert after["stemwright_tasks", "succeeded"] == 1
    assert after["stemwright_queue_depth", ""] == 1
