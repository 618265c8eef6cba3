"""The plan auto on all faces: it is resolved when a task is accepted, and answers name the plan that it became."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stemwright.separation.plan import plan_of
from tests.api.conftest import OpenServer, Server
from tests.api.kie import submit
from tests.api.native import hex_id, order, problem
from tests.separation.installed import install, own_machine

GOOD = plan_of("good").steps[0].models[0]


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_machine(tmp_path, monkeypatch)


def crun(server: Server) -> str:
    track = server.add_track()
    body = {"model": "suno/vocal-separatio", "input": {"task_id": track.task_id, "suno_id": track.id}}
    reply = server.client.post("/api/v1/client/job/CreateTask", json=body).json()
    return str(reply["data"]["task_id"]).replace("-", "")


def test_a_task_has_the_plan_that_was_the_best_when_it_was_accepted(shared: Server, models: Path) -> None:
    before = [hex_id(order(shared)), submit(shared), crun(shared)]
    install(models, GOOD)
    after = [hex_id(order(shared)), submit(shared), crun(shared)]
    assert [shared.task(task).plan for task in before] == ["fast"] * 3
    assert [shared.task(task).plan for task in after] == ["good"] * 3


def test_answers_name_the_plan_and_never_auto(shared: Server, models: Path) -> None:
    assert order(shared, plan="auto")["plan"] == "fast"
    install(models, GOOD)
    separation = order(shared, plan="auto")
    assert separation["plan"] == "good"
    assert shared.client.get(f"/v1/separations/{hex_id(separation)}").json()["plan"] == "good"
    assert order(shared, plan="fast")["plan"] == "fast"


def test_the_same_key_gives_the_same_task_whatever_was_installed_meanwhile(shared: Server, models: Path) -> None:
    body = {"track_id": shared.add_track().id}
    headers = {"Idempotency-Key": "once"}
    first = shared.client.post("/v1/separations", json=body, headers=headers).json()
    install(models, GOOD)
    again = shared.client.post("/v1/separations", json=body, headers=headers).json()
    assert (again["id"], again["plan"]) == (first["id"], "fast")


def test_plans_have_minutes_and_what_a_better_one_needs(shared: Server, models: Path) -> None:
    before = shared.client.get("/v1/plans").json()
    fast = next(plan for plan in before["plans"] if plan["name"] == "fast")
    assert (fast["song_minutes"], fast["is_bound"]) == (0.0, True)
    good = next(plan for plan in before["not_installed"] if plan["name"] == "good")
    assert [model["name"] for model in good["missing"]] == [GOOD] and good["download_bytes"] > 10**6
    assert good["song_minutes"] > 0 and good["missing"][0]["licence"]
    install(models, GOOD)
    after = shared.client.get("/v1/plans").json()
    assert "good" not in [plan["name"] for plan in after["not_installed"]]
    here = {plan["name"]: plan["song_minutes"] for plan in after["plans"]}
    assert here["good"] == here["auto"] == good["song_minutes"]


def test_minutes_of_workers_elsewhere_are_not_known(open_server: OpenServer) -> None:
    server = open_server(workers=0)
    assert {plan["song_minutes"] for plan in server.client.get("/v1/plans").json()["plans"]} == {None}


def test_plans_are_those_that_are_installed_with_the_models_that_they_have(shared: Server, models: Path) -> None:
    def offered() -> dict[str, Any]:
        plans = shared.client.get("/v1/plans").json()["plans"]
        return {plan["name"]: [model["name"] for model in plan["models"]] for plan in plans}

    assert offered() == {name: ["stemwright-12"] for name in ("auto", "fast", "stemwright-12")}
    install(models, GOOD, "scnet-large")
    found = offered()
    assert found["auto"] == found["good"] == [GOOD, "stemwright-12"]
    assert found["scnet-large"] == ["scnet-large"]
    assert "best" not in found


def test_a_plan_need_only_have_what_the_stems_take(shared: Server, models: Path) -> None:
    install(models, "mel-band-roformer-kim")
    assert order(shared, plan="best", stems="two")["plan"] == "best"
    body = {"track_id": shared.add_track().id, "plan": "best", "stems": "twelve"}
    reply = shared.client.post("/v1/separations", json=body)
    assert [error["field"] for error in problem(reply, 422, "invalid-request")["errors"]] == ["plan"]
