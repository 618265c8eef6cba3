"""How the rows of files by their links are provoked."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import httpx
from structlog.testing import capture_logs

from stemwright.storage.store import Store
from tests.api.codes import SECRET, Outcome, Stage, outcome, provokes
from tests.api.conftest import Server


def linked(cause: str, of: Callable[[Server], str], **headers: str) -> None:
    @provokes("files", "GET /s/, /t/, /u/", cause)
    def get(stage: Stage) -> Outcome:
        server = stage.server()
        url = of(server)
        return outcome(server, lambda: httpx.get(url, headers=headers))


def link(server: Server) -> str:
    return server.service.links.track_url(server.add_track())


def expired(server: Server) -> str:
    upload = server.service.uploads.reserve(server.caller.account_id, "late.mp3", "audio/mpeg")
    with mock.patch.object(server.service.links, "_clock", return_value=upload.expires_at):
        url = server.service.links.upload_url(upload)
    past = server.service.links.temporary(url, -60)
    assert past is not None
    return past


def deleted(server: Server) -> str:
    track = server.add_track()
    server.service.tracks.delete(track.account_id, track.id)
    return server.service.links.track_url(track)


linked("the link was not given out here", lambda server: link(server)[:-1])
linked("the link has expired", expired)
linked("the thing was deleted", deleted)
linked("Range is outside the file", link, Range="bytes=999999-")


@provokes("files", "GET /s/, /t/, /u/", "a fault of the server's")
def lost(stage: Stage) -> Outcome:
    server = stage.server()
    url = link(server)
    with mock.patch.object(Store, "exists", side_effect=RuntimeError(SECRET)), capture_logs() as logged:
        found = outcome(server, lambda: httpx.get(url))
    assert SECRET in str(logged)
    return found
