"""How the rows of a full quota are provoked, on all faces."""

from __future__ import annotations

from typing import Any

from stemwright.service.errors import QuotaExceeded
from tests.api.codes import Outcome, Stage, outcome, provokes
from tests.api.conftest import Server

URL = "https://files.example/mix.mp3"
REQUESTS: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("kie", "POST generate"): ("/api/v1/vocal-removal/generate", {"json": {"audioUrl": URL, "callBackUrl": URL}}),
    ("kie", "the three uploads"): (
        "/api/file-stream-upload",
        {"data": {"uploadPath": "audio"}, "files": {"file": ("a.mp3", b"sound")}},
    ),
    ("crun", "POST CreateTask"): (
        "/api/v1/client/job/CreateTask",
        {"json": {"model": "suno/vocal-separation", "input": {"audio_url": URL, "mode": "vocal"}}},
    ),
    ("own", "POST /v1/separations"): ("/v1/separations", {"json": {"url": URL}}),
    ("own", "POST /v1/tracks"): ("/v1/tracks", {"files": {"file": ("a.mp3", b"sound")}}),
}


def full(stage: Stage) -> Server:
    """A server where alice keeps as much as she may."""
    server = stage.server(quota_mb=1)
    account_id = server.caller.account_id
    try:
        server.service.storage_quota.room(account_id)
    except QuotaExceeded:
        return server
    server.service.tracks.add_stored(account_id, server.store(bytes(1_000_000)), title="all that there is room for")
    return server


for (face, endpoint), (path, body) in REQUESTS.items():

    @provokes(face, endpoint, "the account keeps as much as it may")
    def provoke(stage: Stage, path: str = path, body: dict[str, Any] = body) -> Outcome:
        server = full(stage)
        return outcome(server, lambda: server.client.post(path, **body))
