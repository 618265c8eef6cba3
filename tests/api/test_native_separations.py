"""The life of a separation on our own API: its end, its files, its events and its callbacks."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from stemwright.service.task import Submission
from tests.api.conftest import Server
from tests.api.native import events_of, hex_id, order, problem, receiver

OpenServer = Callable[..., Server]


class TestLife:
    def test_success(self, server: Server) -> None:
        separation = order(server, stems="twelve", format="mp3")
        server.succeed(hex_id(separation))
        facts = server.client.get(f"/v1/separations/{separation['id']}").json()
        assert (facts["state"], facts["progress"], facts["stage"]) == ("succeeded", 1.0, None)
        assert len(facts["stems"]) == 12
        stem = facts["stems"][0]
        assert stem["name"] == "vocals" and stem["present"] and stem["peak_dbfs"] == -3.0
        assert httpx.get(stem["url"], follow_redirects=True).content == server.mp3

    @pytest.mark.parametrize(
        ("playing", "known"),
        [
            (None, None),
            ("guitar,vocals", ["vocals", "backing_vocals", "guitar"]),
            (["drums", "bass"], ["drums", "bass"]),
        ],
    )
    def test_what_is_known_of_the_song(
        self, server: Server, playing: str | list[str] | None, known: list[str] | None
    ) -> None:
        separation = order(server, stems="twelve", playing=playing)
        assert separation["playing"] == known
        task = server.service.tasks.any(hex_id(separation))
        assert task is not None and task.playing == (None if known is None else tuple(known))

    def test_failure(self, server: Server) -> None:
        separation = order(server)
        server.fail(hex_id(separation), 451, "example.com did not answer.")
        facts = server.client.get(f"/v1/separations/{separation['id']}").json()
        assert facts["state"] == "failed"
        assert facts["error"] == {"code": 451, "message": "example.com did not answer."}

    def test_cancel_and_delete(self, server: Server) -> None:
        separation = order(server)
        path = f"/v1/separations/{separation['id']}"
        problem(server.client.delete(path), 409, "conflict")
        lease = server.hold(hex_id(separation))
        assert server.client.post(f"{path}/cancel").json()["cancelling"]
        assert server.service.worker_tasks.cancelled(hex_id(separation), lease.token)
        facts = server.client.post(f"{path}/cancel").json()
        assert (facts["state"], facts["cancelling"]) == ("cancelled", False)
        assert server.client.delete(path).status_code == 204
        problem(server.client.get(path), 404, "not-found")
        problem(server.client.post(f"{path}/cancel"), 404, "not-found")

    def test_pages_and_states(self, server: Server) -> None:
        made = [order(server)["id"] for _ in range(3)]
        server.client.post(f"/v1/separations/{made[1]}/cancel")
        page = server.client.get("/v1/separations", params={"limit": 1, "state": "pending"})
        assert [one["id"] for one in page.json()["separations"]] == made[2:]
        page = server.client.get(page.links["next"]["url"])
        assert [one["id"] for one in page.json()["separations"]] == made[:1]
        assert page.json()["next"] is None

    def test_wrong_queries(self, server: Server) -> None:
        for query in ("limit=0", "limit=101", "limit=x", "state=gone", "after=x"):
            facts = problem(server.client.get(f"/v1/separations?{query}"), 422, "invalid-request")
            assert [one["field"] for one in facts["errors"]] == [query.partition("=")[0]]

    def test_a_page_after_what_is_gone(self, server: Server) -> None:
        for path in ("/v1/separations", "/v1/tracks"):
            problem(server.client.get(path, params={"after": "0" * 32}), 404, "not-found")

    def test_zip(self, server: Server) -> None:
        separation = order(server, stems="drums,bass", format="mp3")
        path = f"/v1/separations/{separation['id']}/stems.zip"
        problem(server.client.get(path), 409, "conflict")
        server.succeed(hex_id(separation))
        reply = server.client.get(path)
        assert reply.headers["content-type"] == "application/zip"
        assert reply.headers["content-disposition"] == 'attachment; filename="My song stems.zip"'
        assert int(reply.headers["content-length"]) == len(reply.content)
        with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == ["drums.mp3", "bass.mp3", "residual.mp3"]
            assert archive.read("bass.mp3") == server.mp3
            assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}

    def test_zip_without_its_files(self, server: Server) -> None:
        separation = order(server, format="mp3")
        task = server.succeed(hex_id(separation))
        server.service.store.delete(task.stems[0].blob)
        problem(server.client.get(f"/v1/separations/{separation['id']}/stems.zip"), 404, "not-found")

    def test_tasks_of_the_other_faces_are_seen(self, server: Server) -> None:
        submission = Submission("kie", "separate_vocal", "two", "fast", "mp3", track_id=server.add_track().id)
        task = server.service.tasks.submit(server.caller, submission)
        assert server.client.get(f"/v1/separations/{task.id}").json()["mode"] == "two"


class TestEvents:
    def test_progress_then_end(self, server: Server) -> None:
        separation = order(server)
        path = f"/v1/separations/{separation['id']}/events"
        with server.client.stream("GET", path) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            events = events_of(stream)
            assert next(events)[1]["state"] == "pending"
            lease = server.hold(hex_id(separation))
            server.service.worker_tasks.progress(hex_id(separation), lease.token, "separating", 0.5)
            seen = [next(events)]
            while seen[-1][1]["progress"] < 0.5:
                seen.append(next(events))
            assert (seen[-1][0], seen[-1][1]["stage"]) == ("progress", "separating")
            server.succeed(hex_id(separation), lease=lease)
            last = list(events)
        assert [name for name, _, _ in last] == ["end"]
        assert len(last[0][1]["stems"]) == 2

    def test_taken_up_again(self, server: Server) -> None:
        separation = order(server)
        path = f"/v1/separations/{separation['id']}/events"
        with server.client.stream("GET", path) as stream:
            _, _, mark = next(events_of(stream))
        server.service.tasks.cancel(server.caller.account_id, hex_id(separation))
        with server.client.stream("GET", path, headers={"Last-Event-ID": mark}) as stream:
            name, facts, last = next(events_of(stream))
        assert (name, facts["state"]) == ("end", "cancelled")
        assert server.client.get(path, headers={"Last-Event-ID": last}).status_code == 204

    def test_heartbeats(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stemwright.api.native.events.HEARTBEAT_INTERVAL_S", 0.1)
        with server.client.stream("GET", f"/v1/separations/{order(server)['id']}/events") as stream:
            assert any(line.startswith(": ping") for line in stream.iter_lines())


class TestCallbacks:
    def test_signed_logged_and_replayed(self, open_server: OpenServer) -> None:
        secret = "whsec_" + "c3RlbXdyaWdodCB0ZXN0cyBzaWduIHRoaXM="
        with receiver() as (url, received):
            server = open_server(webhook_key=secret)
            separation = order(server, callback_url=url, format="mp3")
            path = f"/v1/separations/{separation['id']}/deliveries"
            problem(server.client.post(f"{path}/replay"), 409, "conflict")
            server.succeed(hex_id(separation))
            server.deliver()
            headers, body = received[0]
            event = Webhook(secret).verify(body, headers)
            assert event["type"] == "separation.succeeded"
            assert abs(datetime.now(UTC) - datetime.fromisoformat(event["timestamp"])).total_seconds() < 60
            assert event["data"] == server.client.get(f"/v1/separations/{separation['id']}").json()
            log = server.client.get(path).json()["deliveries"]
            assert [(one["attempt"], one["state"], one["status_code"]) for one in log] == [(1, "delivered", 200)]
            again = server.client.post(f"{path}/replay")
            assert (again.status_code, again.json()["state"]) == (202, "pending")
            server.deliver()
            assert len(received) == 2
            assert json.loads(received[1][1]) == event

    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    def test_other_ends(self, server: Server, state: str) -> None:
        with receiver() as (url, received):
            separation = order(server, callback_url=url)
            if state == "failed":
                server.fail(hex_id(separation), 500, "The song cannot be read.")
            else:
                server.client.post(f"/v1/separations/{separation['id']}/cancel")
            server.deliver()
        event = json.loads(received[0][1])
        assert (event["type"], event["data"]["state"]) == (f"separation.{state}", state)

    def test_without_a_callback(self, server: Server) -> None:
        separation = order(server)
        path = f"/v1/separations/{separation['id']}/deliveries"
        assert server.client.get(path).json() == {"deliveries": []}
        problem(server.client.post(f"{path}/replay"), 409, "conflict")
