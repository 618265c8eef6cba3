"""Songs on our own API: whole, cut off, too large, and under any name."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests.api.conftest import Server
from tests.api.native import hex_id, order, problem, upload
from tests.waiting import wait_until

OpenServer = Callable[..., Server]


class TestTracks:
    def test_upload_gives_the_ids_that_all_faces_take(self, server: Server) -> None:
        track = upload(server)
        assert track["title"] == "My song"
        assert track["size_bytes"] == len(server.mp3)
        assert len(track["task_id"]) == 32
        assert len(track["audio_id"]) == 36
        found = server.service.task_sources.by_ids(server.caller.account_id, track["task_id"], hex_id(track))
        assert found.track_id == hex_id(track)
        assert httpx.get(track["url"], follow_redirects=True).content == server.mp3

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
            assert server.stored_files() == []

    def test_two_files_are_one_too_many(self, server: Server) -> None:
        files = [("file", ("a.mp3", b"x")), ("file", ("b.mp3", b"y"))]
        problem(server.client.post("/v1/tracks", files=files), 422, "invalid-request")
        assert server.stored_files() == []

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
        assert server.stored_files() == []

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
            wait_until(lambda: server.stored_files() != [])
        wait_until(lambda: server.stored_files() == [])
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
            assert httpx.get(reply.json()["url"], follow_redirects=True).content == content
