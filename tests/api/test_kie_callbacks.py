"""kie's face: callbacks, key by key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stemwright.api.kie import routes as kie
from stemwright.service.ids import dashed
from stemwright.service.task import Task
from tests.api.conftest import OpenServer, Server
from tests.api.kie import (
    GROUPS,
    record,
    submit,
)
from tests.stand_in import StandIn


def delivered(server: Server, world: StandIn, task: Task) -> Any:
    before = len(world.of("/hook"))
    assert task.callback_url == f"{world.url}/hook"
    assert server.deliver() == 1
    request = world.wait_for("/hook", before + 1)[-1]
    assert request.headers["content-type"] == "application/json"
    return request.json


def test_a_callback_satisfies_every_reader(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(lenient=False)
    task = server.succeed(submit(server, callBackUrl=f"{world.url}/hook"))
    vocals, instrumental = (server.service.links.stem_url(stem, task) for stem in task.stems)
    info = {"origin_url": "", "vocal_url": vocals, "instrumental_url": instrumental}
    assert delivered(server, world, task) == {
        "code": 200,
        "msg": "vocal separation generated successfully.",
        "data": {
            "task_id": task.id,
            "taskId": task.id,
            "vocal_separation_info": info,
            "vocal_removal_info": info,
            "response": record(server, task.id)["response"],
            "successFlag": "SUCCESS",
            "musicId": dashed(task.track_id),
            "musicIndex": 0,
        },
    }


def test_a_callback_of_twelve_stems(strict: Server) -> None:
    body = kie.callback_body(strict.service, task := strict.succeed(submit(strict, type="split_stem")))
    urls = {key: url for key, url in record(strict, task.id)["response"].items() if key in GROUPS.values()}
    snake = {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key): url for key, url in urls.items()}
    assert len(snake) == 12 and "backing_vocals_url" in snake
    assert body["data"]["vocal_separation_info"] == body["data"]["vocal_removal_info"] == {"origin_url": ""} | snake


def test_a_callback_of_one_instrument(strict: Server) -> None:
    task = strict.succeed(submit(strict, type="split_stem_advanced", stemName="Guitar"))
    body = kie.callback_body(strict.service, task)
    response = record(strict, task.id)["response"]
    assert (body["code"], body["msg"]) == (200, "vocal Removal generated successfully.")
    assert body["data"]["vocal_removal_info"] == {"origin_url": "", "origin_data": response["originData"]}
    assert body["data"]["response"] == response


@pytest.mark.parametrize(
    ("kind", "failed_with", "dialect", "code", "message"),
    [
        ("separate_vocal", 500, "kie", 500, "Vocal separation failed"),
        ("split_stem", 501, "kie", 500, "Vocal separation failed"),
        ("split_stem_advanced", 500, "kie", 501, "Vocal separation failed"),
        ("separate_vocal", 451, "kie", 451, "files.example did not answer in time."),
        ("separate_vocal", 500, "sunoapi", 400, "Vocal separation failed"),
        ("split_stem_advanced", 451, "sunoapi", 451, "files.example did not answer in time."),
    ],
)
def test_a_callback_of_a_failure(
    open_server: OpenServer, kind: str, failed_with: int, dialect: str, code: int, message: str
) -> None:
    server = open_server(dialect=dialect)
    task_id = submit(server, type=kind, stemName="Bass")
    task = server.fail(task_id, failed_with, "files.example did not answer in time.")
    body = kie.callback_body(server.service, task)
    infos = (
        {"vocal_removal_info": None}
        if dialect == "sunoapi"
        else dict.fromkeys(["vocal_separation_info", "vocal_removal_info"])
    )
    assert body == {
        "code": code,
        "msg": message,
        "data": {
            "task_id": task.id,
            "taskId": task.id,
            **infos,
            "response": None,
            "successFlag": "GENERATE_AUDIO_FAILED",
            "musicId": dashed(task.track_id),
            "musicIndex": 0,
        },
    }


def test_a_callback_of_the_sisters(open_server: OpenServer) -> None:
    server = open_server(dialect="sunoapi")
    body = kie.callback_body(server.service, server.succeed(submit(server)))
    assert body["msg"] == "vocal Removal generated successfully."
    assert "vocal_separation_info" not in body["data"]
    assert body["data"]["vocal_removal_info"].keys() == {"origin_url", "vocal_url", "instrumental_url"}


def test_a_callback_that_fails_leaves_the_task_a_success(shared: Server) -> None:
    task = shared.succeed(submit(shared, callBackUrl=f"{shared.url}/api/v1/nowhere-at-all"))
    shared.deliver()
    assert record(shared, task.id)["successFlag"] == "SUCCESS"
