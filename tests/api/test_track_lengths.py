"""How long a song is, known as soon as it is here."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from stemwright.service.ids import parse_id
from tests.api.conftest import SECONDS, OpenServer, Server
from tests.server_state import IN_FILES
from tests.waiting import PATIENCE_S


@pytest.fixture
def patient(open_server: OpenServer) -> Server:
    server = open_server()
    server.service.headers._timeout_s = PATIENCE_S
    return server


def duration(server: Server, task_id: str) -> Any:
    reply = server.client.get("/api/v1/generate/record-info", params={"taskId": task_id}).json()
    return reply["data"]["response"]["sunoData"][0]["duration"]


def test_of_an_upload(patient: Server) -> None:
    reply = patient.client.post("/v1/tracks", files={"file": ("song.mp3", patient.mp3)}).json()
    assert reply["seconds"] == pytest.approx(SECONDS, abs=0.06)
    assert duration(patient, reply["task_id"]) == reply["seconds"]


def test_of_an_upload_that_is_no_song(patient: Server) -> None:
    reply = patient.client.post("/v1/tracks", files={"file": ("song.mp3", b"no song")})
    assert (reply.status_code, reply.json()["seconds"]) == (201, None)


@IN_FILES
def test_of_a_file_under_a_vendors_path_and_of_a_stem(patient: Server) -> None:
    body = {"base64Data": base64.b64encode(patient.mp3).decode(), "uploadPath": "audio"}
    link = patient.client.post("/api/file-base64-upload", json=body).json()["data"]["downloadUrl"]
    order = {"audioUrl": link, "callBackUrl": "https://client.example/hook"}
    task = patient.task(patient.client.post("/api/v1/vocal-removal/generate", json=order).json()["data"]["taskId"])
    track = patient.service.tracks.get(task.account_id, task.track_id)
    assert track is not None and track.seconds == pytest.approx(SECONDS, abs=0.06)

    task = patient.succeed(task.id, seconds=1.25)
    track = patient.service.tracks.get(task.account_id, task.track_id)
    assert track is not None and track.seconds == 1.25  # what was measured is better than what headers say
    stem = {"taskId": task.id, "audioId": task.stems[0].id, "callBackUrl": "https://client.example/hook"}
    of_stem = patient.client.post("/api/v1/wav/generate", json=stem).json()["data"]["taskId"]
    track = patient.service.tracks.get(task.account_id, patient.task(str(parse_id(of_stem))).track_id)
    assert track is not None and track.seconds == 1.25


def test_headers_that_take_too_long_hold_up_no_upload(patient: Server) -> None:
    patient.service.headers._command = ["tail", "-f", "/dev/null"]
    patient.service.headers._timeout_s = 0.2
    reply = patient.client.post("/v1/tracks", files={"file": ("song.mp3", patient.mp3)})
    assert (reply.status_code, reply.json()["seconds"]) == (201, None)
    assert httpx.get(reply.json()["url"], follow_redirects=True).content == patient.mp3
