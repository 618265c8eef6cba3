"""Our own API, over HTTP on a running server."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from stemwright.database import tables
from stemwright.service.task import Submission
from stemwright.service.tasks import MAINTENANCE
from tests.api.conftest import Server

OpenServer = Callable[..., Server]


def upload(server: Server, name: str = "My song.mp3") -> dict[str, Any]:
    reply = server.client.post("/v1/tracks", files={"file": (name, server.mp3, "audio/mpeg")})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def order(server: Server, **body: Any) -> dict[str, Any]:
    reply = server.client.post("/v1/separations", json={"track_id": upload(server)["id"], **body})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def hex_id(record: dict[str, Any]) -> str:
    return str(record["id"]).replace("-", "")


def problem(reply: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The problem that a reply must be."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    facts = dict(reply.json())
    assert facts["type"] == f"urn:stemwright:problem:{name}"
    assert facts["status"] == status
    assert facts["title"] and facts["detail"]
    assert "Traceback" not in reply.text
    return facts


def stored_files(server: Server) -> list[Path]:
    files = server.service.settings.data / "files"
    return [path for path in files.rglob("*") if path.is_file()]


class TestTracks:
    def test_upload_gives_the_ids_that_all_faces_take(self, server: Server) -> None:
        track = upload(server)
        assert track["title"] == "My song"
        assert track["size_bytes"] == len(server.mp3)
        assert len(track["task_id"]) == 32
        assert len(track["audio_id"]) == 36
        found = server.service.sources.by_ids(server.caller.account_id, track["task_id"], hex_id(track))
        assert found.track_id == hex_id(track)
        assert httpx.get(track["url"]).content == server.mp3

    def test_names_and_titles_of_any_script(self, server: Server) -> None:
        reply = server.client.post(
            "/v1/tracks", files={"file": ("../../Ünïcode 歌.mp3", server.mp3)}, data={"title": "Größe\n"}
        )
        assert reply.json()["file_name"] == "Ünïcode 歌.mp3"
        assert reply.json()["title"] == "Größe"

    def test_by_address(self, server: Server) -> None:
        reply = server.client.post("/v1/tracks", json={"url": "https://example.com/songs/a.mp3?x=1"})
        assert reply.status_code == 201
        assert reply.json()["origin"] == "url"
        assert reply.json()["title"] == "a.mp3"
        assert reply.json()["url"] == "https://example.com/songs/a.mp3?x=1"

    def test_our_own_address_is_the_track_that_lies_there(self, server: Server) -> None:
        track = upload(server)
        assert server.client.post("/v1/tracks", json={"url": track["url"]}).json()["id"] == track["id"]

    def test_get_list_and_delete(self, server: Server) -> None:
        made = [upload(server)["id"] for _ in range(3)]
        first = server.client.get("/v1/tracks", params={"limit": 2})
        assert [track["id"] for track in first.json()["tracks"]] == made[:0:-1]
        second = server.client.get(first.links["next"]["url"])
        assert [track["id"] for track in second.json()["tracks"]] == made[:1]
        assert second.json()["next"] is None and "link" not in second.headers
        assert server.client.delete(f"/v1/tracks/{made[0]}").status_code == 204
        problem(server.client.get(f"/v1/tracks/{made[0]}"), 404, "not-found")
        problem(server.client.delete(f"/v1/tracks/{made[0]}"), 404, "not-found")

    def test_a_track_in_use_is_not_deleted(self, server: Server) -> None:
        separation = order(server)
        problem(server.client.delete(f"/v1/tracks/{separation['track_id']}"), 409, "conflict")

    def test_wrong_forms(self, server: Server) -> None:
        cases: list[tuple[dict[str, Any], dict[str, str], str]] = [
            ({"file": ("a.mp3", b"")}, {}, "file"),
            ({"song": ("a.mp3", b"x")}, {}, "song"),
            ({"file": ("a.mp3", b"x")}, {"kazoo": "1"}, "kazoo"),
            ({"file": ("a.mp3", b"x")}, {"title": "x" * 501}, "title"),
        ]
        for files, data, field in cases:
            facts = problem(server.client.post("/v1/tracks", files=files, data=data), 422, "invalid-request")
            assert [one["field"] for one in facts["errors"]] == [field]
            assert stored_files(server) == []

    def test_two_files_are_one_too_many(self, server: Server) -> None:
        files = [("file", ("a.mp3", b"x")), ("file", ("b.mp3", b"y"))]
        problem(server.client.post("/v1/tracks", files=files), 422, "invalid-request")
        assert stored_files(server) == []

    def test_a_body_that_is_no_form(self, server: Server) -> None:
        for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
            reply = server.client.post("/v1/tracks", content=b"\x00\xffno form", headers={"Content-Type": content_type})
            problem(reply, 400, "bad-body")

    def test_too_large(self, open_server: OpenServer) -> None:
        server = open_server(max_upload_mb=1)
        problem(server.client.post("/v1/tracks", files={"file": ("a.wav", b"x" * 1_100_000)}), 413, "too-large")

        def without_length() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
            for _ in range(11):
                yield b"x" * 100_000
            yield b"\r\n--b--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        problem(server.client.post("/v1/tracks", content=without_length(), headers=headers), 413, "too-large")
        fields = {"title": "x" * 20_000}
        reply = server.client.post("/v1/tracks", files={"file": ("a.wav", b"x")}, data=fields)
        problem(reply, 413, "too-large")
        assert stored_files(server) == []

    def test_an_upload_cut_off_leaves_nothing(self, server: Server) -> None:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        # A form without its end is told so, however whole the request is.
        reply = server.client.post(
            "/v1/tracks", content=head + b"x" * 1000, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        problem(reply, 400, "bad-body")
        # A connection that breaks has nobody to be told.
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                f"POST /v1/tracks HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.key}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n".encode()
                + head
                + b"x" * 50_000
            )
            until(lambda: stored_files(server) != [])
        until(lambda: stored_files(server) == [])
        assert server.client.get("/v1/tracks").json()["tracks"] == []

    def test_the_end_of_a_form_may_come_in_any_pieces(self, server: Server) -> None:
        content = bytes(range(256)) * 40 + b"\r\n--\r\n--bb\r\n-"
        form = (
            b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nA\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + content + b"\r\n--b--\r\n"
        )
        for size in (7, 64, 4096):
            pieces = (form[start : start + size] for start in range(0, len(form), size))
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            reply = server.client.post("/v1/tracks", content=pieces, headers=headers)
            assert reply.status_code == 201, reply.text
            assert httpx.get(reply.json()["url"]).content == content


class TestOrders:
    def test_what_comes_back(self, server: Server) -> None:
        separation = order(server, stems=["drums", "bass"], format="flac", bit_depth=24)
        assert separation["state"] == "pending"
        assert separation["mode"] == "drums,bass"
        assert (separation["format"], separation["bit_depth"]) == ("flac", 24)
        assert server.client.get(f"/v1/separations/{hex_id(separation)}").json() == separation
        task = server.task(hex_id(separation))
        assert (task.face, task.kind, task.plan) == ("native", "v1", "fast")

    def test_by_address(self, server: Server) -> None:
        reply = server.client.post("/v1/separations", json={"url": "https://example.com/song.mp3"})
        assert reply.status_code == 201
        task = server.task(hex_id(reply.json()))
        assert task.source_url == "https://example.com/song.mp3"

    def test_wrong_fields_are_named(self, server: Server) -> None:
        track_id = server.add_track().id
        cases: list[tuple[dict[str, Any], str]] = [
            ({"stems": "kazoo"}, "stems"),
            ({"stems": ["drums", "drums"]}, "stems"),
            ({"stems": []}, "stems"),
            ({"stems": 12}, "stems"),
            ({"plan": "slow"}, "plan"),
            ({"format": "xm"}, "format"),
            ({"format": "mp3", "bit_depth": 24}, "bit_depth"),
            ({"format": "flac", "bit_depth": 32}, "bit_depth"),
            ({"bit_depth": 20}, "bit_depth"),
            ({"format": "mp3", "bitrate_kbps": 5}, "bitrate_kbps"),
            ({"format": "wav", "bitrate_kbps": 128}, "bitrate_kbps"),
            ({"callback_url": "example.com"}, "callback_url"),
            ({"priority": 11}, "priority"),
            ({"priority": "1"}, "priority"),
            ({"kazoo": 1}, "kazoo"),
            ({"url": "https://example.com/a.mp3"}, "track_id"),
            ({"track_id": None}, "track_id"),
            ({"track_id": None, "url": "nowhere"}, "url"),
            ({"track_id": "no id"}, "track_id"),
            ({"track_id": "0" * 32}, "track_id"),
        ]
        for body, field in cases:
            reply = server.client.post("/v1/separations", json={"track_id": track_id, **body})
            facts = problem(reply, 422, "invalid-request")
            assert [one["field"] for one in facts["errors"]] == [field], body
        assert server.client.get("/v1/separations").json()["separations"] == []

    def test_bodies_that_are_no_json_object(self, server: Server) -> None:
        for content in (b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 9999):
            problem(server.client.post("/v1/separations", content=content), 400, "bad-body")

    def test_a_body_too_large(self, server: Server) -> None:
        problem(server.client.post("/v1/separations", content=b" " * 1_000_001), 413, "too-large")

    def test_idempotency(self, server: Server) -> None:
        body = {"track_id": server.add_track().id, "stems": "twelve"}
        headers = {"Idempotency-Key": "one"}
        first = server.client.post("/v1/separations", json=body, headers=headers)
        again = server.client.post("/v1/separations", json=dict(reversed(body.items())), headers=headers)
        assert first.status_code == again.status_code == 201
        assert first.json()["id"] == again.json()["id"]
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        other = server.client.post("/v1/separations", json={**body, "stems": "two"}, headers=headers)
        problem(other, 409, "conflict")
        assert len(server.client.get("/v1/separations").json()["separations"]) == 1
        problem(
            server.client.post("/v1/separations", json=body, headers={"Idempotency-Key": "x" * 256}),
            422,
            "invalid-request",
        )

    def test_limits_say_when_to_come_back(self, open_server: OpenServer) -> None:
        server = open_server(native_rate_limit="1/30", max_running=1)
        body = {"track_id": server.add_track().id}
        assert server.client.post("/v1/separations", json=body).status_code == 201
        reply = server.client.post("/v1/separations", json=body)
        problem(reply, 429, "too-fast")
        assert 1 <= int(reply.headers["Retry-After"]) <= 31
        with server.another("carol", account="alice", rate_limit="100/1") as carol:
            reply = carol.post("/v1/separations", json=body)
        problem(reply, 429, "too-many-running")
        assert int(reply.headers["Retry-After"]) >= 1

    def test_switched_off(self, open_server: OpenServer) -> None:
        server = open_server(disabled="v1")
        body = {"track_id": server.add_track().id}
        problem(server.client.post("/v1/separations", json=body), 403, "switched-off")

    def test_maintenance(self, server: Server) -> None:
        with server.service.database.write() as session:
            session.add(tables.Fact(name=MAINTENANCE, value="on"))
        reply = server.client.post("/v1/separations", json={"track_id": server.add_track().id})
        problem(reply, 503, "under-maintenance")
        assert int(reply.headers["Retry-After"]) >= 1

    def test_credits(self, open_server: OpenServer) -> None:
        server = open_server(prices={"v1": 7.5})
        with server.another("bob", credits_hundredths=1000) as bob:
            assert bob.get("/v1/credits").json() == {"metered": True, "credits": 10.0, "price": 7.5}
            body = {"url": "https://example.com/a.mp3"}
            assert bob.post("/v1/separations", json=body).json()["credits"] == 7.5
            problem(bob.post("/v1/separations", json=body), 402, "credits-insufficient")
            assert bob.get("/v1/credits").json()["credits"] == 2.5
        assert server.client.get("/v1/credits").json() == {"metered": False, "credits": None, "price": 7.5}


class TestLife:
    def test_success(self, server: Server) -> None:
        separation = order(server, stems="twelve", format="mp3")
        server.succeed(hex_id(separation))
        facts = server.client.get(f"/v1/separations/{separation['id']}").json()
        assert (facts["state"], facts["progress"], facts["stage"]) == ("succeeded", 1.0, None)
        assert len(facts["stems"]) == 12
        stem = facts["stems"][0]
        assert stem["name"] == "vocals" and stem["present"] and stem["peak_dbfs"] == -3.0
        assert httpx.get(stem["url"]).content == server.mp3

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
        assert server.service.work.cancelled(hex_id(separation), lease.token)
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
            server.service.work.progress(hex_id(separation), lease.token, "separating", 0.5)
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
        monkeypatch.setattr("stemwright.api.native_events.HEARTBEAT_S", 0.1)
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


class TestDoors:
    def test_every_endpoint_wants_a_key(self, server: Server) -> None:
        endpoints = [
            ("POST", "/v1/tracks"),
            ("GET", "/v1/tracks"),
            ("GET", "/v1/tracks/x"),
            ("DELETE", "/v1/tracks/x"),
            ("POST", "/v1/separations"),
            ("GET", "/v1/separations"),
            ("GET", "/v1/separations/x"),
            ("DELETE", "/v1/separations/x"),
            ("POST", "/v1/separations/x/cancel"),
            ("GET", "/v1/separations/x/events"),
            ("GET", "/v1/separations/x/stems.zip"),
            ("GET", "/v1/separations/x/deliveries"),
            ("POST", "/v1/separations/x/deliveries/replay"),
            ("GET", "/v1/credits"),
            ("GET", "/v1/plans"),
        ]
        server.service.keys.revoke("alice")
        with httpx.Client(base_url=server.url) as stranger:
            for method, path in endpoints:
                for headers in ({}, {"Authorization": "Bearer sw_wrong"}, {"x-api-key": "sw_wrong"}):
                    reply = stranger.request(method, path, headers=headers)
                    problem(reply, 401, "not-authenticated")
                    assert reply.headers["WWW-Authenticate"] == "Bearer"
                problem(server.client.request(method, path), 401, "not-authenticated")

    def test_a_key_to_read_writes_nothing(self, server: Server) -> None:
        separation = order(server)
        with server.another("reader", account="alice", scopes=("read",)) as reader:
            assert reader.get(f"/v1/separations/{separation['id']}").status_code == 200
            for method, path in (
                ("POST", "/v1/tracks"),
                ("POST", "/v1/separations"),
                ("DELETE", f"/v1/separations/{separation['id']}"),
                ("POST", f"/v1/separations/{separation['id']}/cancel"),
            ):
                problem(reader.request(method, path), 403, "not-permitted")

    def test_nothing_of_one_account_is_seen_by_another(self, server: Server) -> None:
        separation = order(server, format="mp3")
        server.succeed(hex_id(separation))
        with server.another() as bob:
            assert bob.get("/v1/tracks").json()["tracks"] == []
            assert bob.get("/v1/separations").json()["separations"] == []
            for path in (
                f"/v1/tracks/{separation['track_id']}",
                f"/v1/separations/{separation['id']}",
                f"/v1/separations/{separation['id']}/events",
                f"/v1/separations/{separation['id']}/stems.zip",
                f"/v1/separations/{separation['id']}/deliveries",
            ):
                problem(bob.get(path), 404, "not-found")
            problem(bob.delete(f"/v1/tracks/{separation['track_id']}"), 404, "not-found")
            problem(bob.delete(f"/v1/separations/{separation['id']}"), 404, "not-found")
            problem(bob.post(f"/v1/separations/{separation['id']}/cancel"), 404, "not-found")
            reply = bob.post("/v1/separations", json={"track_id": separation["track_id"]})
            problem(reply, 422, "invalid-request")

    def test_unknown_addresses_and_methods(self, server: Server) -> None:
        problem(server.client.get("/v1/nothing"), 404, "not-found")
        problem(server.client.get("/v1/tracks/..%2F..%2Fetc%2Fpasswd%00"), 404, "not-found")
        reply = server.client.put("/v1/tracks")
        problem(reply, 405, "method-not-allowed")
        assert reply.headers["Allow"] == "GET, POST"

    def test_a_fault_is_told_without_its_traceback(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("secret words")

        monkeypatch.setattr(type(server.service.ledger), "balance", broken)
        reply = server.client.get("/v1/credits")
        problem(reply, 500, "fault")
        assert "secret" not in reply.text

    def test_plans(self, server: Server) -> None:
        plans = server.client.get("/v1/plans").json()["plans"]
        assert plans[0]["name"] == "fast"
        assert len(plans[0]["stems"]) == 12


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def events_of(stream: httpx.Response) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Name, data and id of each event."""
    fields: dict[str, str] = {}
    for line in stream.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], json.loads(fields["data"]), fields["id"]
            fields = {}


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A web hook of this machine: its address, and what came."""
    received: list[tuple[dict[str, str], bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        thread = threading.Thread(target=hook.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{hook.server_port}/hook", received
        finally:
            hook.shutdown()
            thread.join()
