"""The dashboard and the alerts: every metric and label that they name is exported by a real server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from stemwright.api import service_metrics
from stemwright.api.app import create_app
from stemwright.database import tables
from stemwright.models.device_memory import DeviceMemory
from tests.api.conftest import mp3, starting

__all__ = ["mp3"]  # a fixture

DEPLOY = Path(__file__).parents[2] / "deploy"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "stemwright.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

PROMETHEUS_OWN = {"up": {"job", "instance"}}
"""Metrics that Prometheus itself adds."""

TARGET_LABELS = {"job", "instance", "le"}
"""Labels that a scrape, or a histogram, adds."""

FUNCTIONS = {
    "and", "by", "count", "histogram_quantile", "max", "min", "or", "rate", "sum", "topk", "unless", "vector", "without",
}  # fmt: skip


def expressions() -> Iterator[tuple[str, str]]:
    """Every query, and where it is."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def metrics_of(expression: str) -> set[str]:
    """The metrics that a query names."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without) \([^)]*\)', "", expression)
    return {word for word in re.findall(r"(?<![\w.])[a-z_]\w*", bare) if word not in FUNCTIONS}


def labels_of(expression: str) -> set[str]:
    """The labels that a query matches, or groups by."""
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = [name.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for name in group.split(",")]
    return {*matched, *grouped}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> dict[str, set[str]]:
    """The samples that a server exports, with their labels, once a task waits and another has ended."""
    with starting(tmp_path_factory.mktemp("metrics"), mp3) as start, pytest.MonkeyPatch.context() as patch:
        patch.setattr(service_metrics, "device_memory", lambda: (DeviceMemory(0, 1, 2),))
        server = start()
        for _ in range(2):
            server.client.post("/v1/separations", json={"track_id": server.add_track().id})
        task = server.client.get("/v1/separations").json()["separations"][0]["id"].replace("-", "")
        server.succeed(task)
        with server.service.database.write() as session:
            session.get_one(tables.Task, task).facts = {"elapsed_s": 0.5}
        text = asyncio.run(_scrape(create_app(server.service, lambda: 1)))  # a server with a worker of its own
    samples: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, set()).update(sample.labels)
    return samples | PROMETHEUS_OWN


async def _scrape(app: FastAPI) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        await client.get("/livez")
        return (await client.get("/metrics")).text


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_a_query_names_what_is_exported(exported: dict[str, set[str]], where: str, expression: str) -> None:
    named = metrics_of(expression)
    assert named, where
    assert named - exported.keys() == set()
    labels = set.union(*(exported[name] for name in named)) | TARGET_LABELS
    assert labels_of(expression) - labels == set()


def test_every_metric_of_ours_is_shown(exported: dict[str, set[str]]) -> None:
    shown = set.union(*(metrics_of(expression) for _, expression in expressions()))
    families = {
        re.sub(r"_(created|bucket|sum|count)$", "", name) for name in exported if name.startswith("stemwright_")
    }
    assert families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} - {"stemwright_requests"} == set()


def test_queries_are_read_as_written() -> None:
    query = 'sum by (le, plan) (rate(a_total{b=~"x|y", c!="sum"}[5m])) / 2e9 > 0.5 and max(d) == 0'
    assert metrics_of(query) == {"a_total", "d"}
    assert labels_of(query) == {"le", "plan", "b", "c"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_and_is_explained(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert f"| `{rule['alert']}` |" in OPERATIONS.read_text()


def test_the_dashboard_has_the_structure_of_grafana() -> None:
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= DASHBOARD.keys()
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24 and not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
    for panel in PANELS:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["refId"] and target["expr"] and target["legendFormat"] for target in panel["targets"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
@pytest.mark.parametrize("arguments", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_promtool_finds_no_fault(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
