"""The command that serves, as a process of its own: two are started in all, one of them on the other's backup."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stemwright.cli.serve import is_loopback
from tests.cli.conftest import Run, one_error, run, write_song
from tests.serving import Serving
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serve")
    with Serving(folder / "data", cache_dir=str(folder / "cache")) as serving:
        serving.read_key()
        serving.output.readline()  # the address of the page
        assert "stemwright setup --plan good" in serving.output.readline(), "a first start says what would be better"
        yield serving
        assert serving.stop(by=signal.SIGINT) == 0
        assert "Traceback" not in serving.log


@pytest.fixture
def data(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the running server, which commands take by themselves."""
    monkeypatch.setenv("STEMWRIGHT_DATA", str(serving.data))
    return serving.data


def refused(done: Run, code: int, *words: str) -> None:
    assert done.code == code
    one_error(done, words=words)


def test_from_nothing_it_has_a_key_that_opens_every_face(serving: Serving) -> None:
    with serving.client() as client:
        assert client.get("/api/v1/chat/credit").json()["code"] == 200
        assert client.get("/api/v1/client/account/balance").status_code == 200
        assert client.get("/v1/credits").status_code == 200
        assert client.get("/docs").status_code == client.get("/livez").status_code == 200
    with serving.client("sw_" + "x" * 40) as stranger:
        assert stranger.get("/v1/credits").status_code == 401
    assert serving.key is not None and serving.key not in serving.log


def test_open_opens_the_player_signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}.part" && mv "{opened}.part" "{opened}"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with Serving(tmp_path / "data", "--open", "--workers", "0") as serving:
        key = serving.read_key()
        wait_until(opened.exists, "the browser is opened")
        address, _, token = opened.read_text().strip().partition("#open=")
        assert address == f"{serving.url}/" and token and key not in token
        with httpx.Client(base_url=serving.url, headers={"X-Stemwright-Page": "1"}, trust_env=False) as client:
            opening = client.post("/v1/session", json={"link": token})
            assert opening.json()["key"]["scopes"] == ["read", "write", "operator"]
            assert client.get("/v1/account").json()["key"]["name"] == "first"
            assert client.post("/v1/session", json={"link": token}).status_code == 401
        assert serving.stop() == 0


@pytest.mark.usefixtures("data")
class TestCommandsWhileItServes:
    def test_a_new_key_opens_it_at_once_until_it_is_revoked(self, serving: Serving) -> None:
        (made,) = run("keys", "create", "phone", "--credits", "7", "--json").objects
        with serving.client(made["key"]) as client:
            assert client.get("/api/v1/chat/credit").json()["data"] == 7
            assert run("credits", "grant", "phone", "0.5").code == 0
            assert client.get("/api/v1/chat/credit").json()["data"] == 7.5
            assert run("keys", "revoke", "phone").code == 0
            assert client.get("/api/v1/chat/credit").json()["code"] == 401

    def test_maintenance_begins_and_ends_at_once(self, serving: Serving) -> None:
        def code() -> int:
            order = {"audioUrl": "http://127.0.0.1:9/a.mp3", "callBackUrl": "http://127.0.0.1:9/"}
            return int(client.post("/api/v1/vocal-removal/generate", json=order).json()["code"])

        with serving.client() as client:
            run("maintenance", "on")
            assert code() == 455
            run("maintenance", "off")
            assert code() == 200

    def test_its_folder_has_no_second_server(self, data: Path) -> None:
        refused(run("serve", "--port", "0"), 5, "Another server", str(data))


def test_a_backup_of_a_running_server_is_served(serving: Serving, data: Path, elsewhere: Path) -> None:
    song = write_song(elsewhere / "song.wav", seconds=1.0)
    with serving.client() as client:
        track = client.post("/v1/tracks", files={"file": song.read_bytes()}).json()
        order = {"track_id": track["id"], "stems": "two", "format": "wav"}
        task_id = client.post("/v1/separations", json=order).json()["id"]
        deadline = time.monotonic() + 240
        while (task := client.get(f"/v1/separations/{task_id}").json())["state"] != "succeeded":
            assert time.monotonic() < deadline and task["state"] in ("pending", "running"), task
            time.sleep(0.1)
        stems = [client.get(stem["url"]).content for stem in task["stems"]]
    assert [one["state"] for one in json.loads(run("tasks", "--json", "--limit", "1").out)] == ["succeeded"]
    assert run("backup", "copy").code == 0

    with Serving(elsewhere / "copy") as copy:
        with copy.client(serving.key) as client:
            task = client.get(f"/v1/separations/{task_id}").json()
            assert [client.get(stem["url"]).content for stem in task["stems"]] == stems
            assert all(stem["url"].startswith(copy.url) for stem in task["stems"])
        assert copy.stop() == 0
        said = copy.output.read()
        assert re.fullmatch(rf"The player: {re.escape(copy.url)}/#open=\S+\n", said), said  # it made no second key
        assert "Traceback" not in copy.log
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{copy.url}/livez")


class TestWhatCannotBeServed:
    def test_strangers_without_a_key(self, elsewhere: Path) -> None:
        # 127.1 leads to this machine alone, but not every name and number that does is known to.
        refused(run("serve", "--host", "127.1", "--port", "0"), 2, "there is no API key yet", "keys create")

    def test_a_taken_port(self, elsewhere: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            refused(run("serve", "--port", str(port)), 5, f"127.0.0.1:{port}", "already in use", "--port")
        assert list(elsewhere.iterdir()) == []

    def test_an_address_of_another_machine(self, elsewhere: Path) -> None:
        refused(run("serve", "--host", "192.0.2.1", "--port", "0"), 5, "192.0.2.1", "--host")

    def test_data_in_place_of_which_there_is_a_file(self, elsewhere: Path) -> None:
        (elsewhere / "file").touch()
        refused(run("serve", "--port", "0", "--data", "file"), 5, "file")

    def test_a_database_that_is_none(self, elsewhere: Path) -> None:
        (elsewhere / "data").mkdir()
        (elsewhere / "data" / "stemwright.db").write_bytes(b"garbage!" * 1000)
        refused(run("serve", "--port", "0", "--data", "data"), 5, "not a database", "backup")

    @pytest.mark.parametrize(
        ("name", "value"), [("PORT", "many"), ("RATE_LIMIT", "fast"), ("PUBLIC_URL", "stems"), ("PRICES", "{")]
    )
    def test_a_setting_without_meaning(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(f"STEMWRIGHT_{name}", value)
        refused(run("serve"), 2, f"STEMWRIGHT_{name}", "docs/settings.md")

    @pytest.mark.parametrize(("plan", "said"), [("scnet-large", "models download scnet-large"), ("finest", "finest")])
    def test_a_plan_that_cannot_be_had(
        self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, plan: str, said: str
    ) -> None:
        monkeypatch.setenv("STEMWRIGHT_PLAN", plan)
        monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(elsewhere / "models"))
        refused(run("serve", "--port", "0", "--data", "data"), 4, said)

    @pytest.mark.parametrize("arguments", ["--port 70000", "--port x", "--workers -1", "--no-such-option"])
    def test_usage(self, arguments: str) -> None:
        done = run("serve", *arguments.split())
        assert done.code == 2 and "Traceback" not in done.err


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False)],
)
def test_which_addresses_are_open_to_others(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here
