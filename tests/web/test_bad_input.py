"""What goes wrong is said in a sentence, with a way on: never a dead page, never a lost queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from stemwright.errors import StorageError
from stemwright.storage.blob_writer import FileWriter
from tests.api.conftest import Server, starting
from tests.waiting import wait_until
from tests.web.browser import Browser, Page
from tests.web.conftest import as_file, finish, sounds

DROP = """
(({name, size}) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(size)], name, {type: "audio/wav"}));
  document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
})(%s)
"""

ERROR = "document.querySelector('.song .error')?.innerText"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    with starting(tmp_path_factory.mktemp("bad"), mp3) as start:
        yield start(rate_limit="0", max_upload_mb=3)


def drop(page: Page, name: str, size: int) -> None:
    page.evaluate(DROP % json.dumps({"name": name, "size": size}))


@pytest.fixture(autouse=True)
def _no_song_is_left(browser: Browser, server: Server) -> Iterator[None]:
    """The tests look at the whole list, and run in any order."""
    yield
    browser.close_pages()
    for made in server.client.get("/v1/separations?limit=100").json()["separations"]:
        server.client.post(f"/v1/separations/{made['id']}/cancel")
        server.client.delete(f"/v1/separations/{made['id']}?with_track=true")  # a page deletes as it closes, too


def clear(page: Page) -> None:
    """Cancels and deletes the one song of the list, which the server has."""
    page.click(".song.busy [aria-label^=Cancel]")
    page.click(".song.cancelled [aria-label^=Delete]")
    page.wait_for("document.querySelectorAll('.song').length === 0")


def test_a_file_of_10_gb_is_neither_copied_nor_sent(page: Page, server: Server, tmp_path: Path) -> None:
    opera, song = tmp_path / "opera.wav", tmp_path / "song.wav"
    with opera.open("wb") as file:
        file.truncate(10_000_000_000)  # it takes no room here
    song.write_bytes(bytes(2000))
    page.drop_files([opera, song])
    text = page.wait_for("document.querySelector('.note')?.innerText")
    assert "opera.wav is 10 GB; this server takes at most 3.0 MB" in text
    page.wait_for("document.querySelector('.song.busy:has([aria-label^=Rename])')")  # the other one was sent
    assert "opera" not in page.evaluate("document.querySelector('.songs').innerText")
    assert page.evaluate("navigator.storage.estimate().then(({ usage }) => usage)") < 10_000_000
    clear(page)


def test_a_file_that_the_server_refuses_by_its_size(browser: Browser, tmp_path: Path, mp3: bytes) -> None:
    with starting(tmp_path, mp3) as start:
        server = start(rate_limit="0", quota_mb=1)
        page = browser.new_page()
        page.open(f"{server.url}/#key={server.key}")
        page.wait_for("document.querySelector('.drop-zone')")
        drop(page, "opera.wav", 2_000_000)
        # Where the server breaks the connection instead of answering, the page tries again first, and says so.
        text = page.wait_for("document.querySelector('.song.failed')?.innerText")
        assert "storage quota" in text or "broke off" in text
        assert "Try again" in text
        browser.close_pages()  # none holds a stream open while the server ends


def test_a_browser_that_keeps_no_files_sends_them_all_the_same(page: Page, server: Server) -> None:
    page.call("Storage.overrideQuotaForOrigin", origin=server.url, quotaSize=0)
    drop(page, "unkept.wav", 1_000_000)
    page.wait_for("document.querySelector('.song.busy:has([aria-label^=Rename])')?.innerText.includes('unkept')")
    clear(page)


def test_a_name_of_255_emoji_and_markup(page: Page, server: Server) -> None:
    before = len(server.client.get("/v1/separations?limit=100").json()["separations"])
    name = "🎸" * 251 + ".wav"
    drop(page, name, 2000)
    wait_until(lambda: len(server.client.get("/v1/separations?limit=100").json()["separations"]) == before + 1)
    # Only a song that the server has can be renamed: before, Cancel is that of the song that is sent.
    page.wait_for("document.querySelector('.song.busy:has([aria-label^=Rename])')?.innerText.includes('🎸')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    clear(page)


def test_no_disk_left_on_the_server(page: Page, server: Server) -> None:
    with mock.patch.object(FileWriter, "write", side_effect=StorageError("No room is left.")):
        drop(page, "song.wav", 2000)
        assert "Nothing can be stored for now" in page.wait_for(ERROR)
    page.evaluate("[...document.querySelectorAll('.song button')].find((one) => one.innerText === 'Try again').click()")
    page.wait_for("document.querySelector('.song.busy') && !document.querySelector('.song .error')")
    wait_until(lambda: server.client.get("/v1/separations?state=pending").json()["separations"])
    (made,) = server.client.get("/v1/separations?state=pending").json()["separations"]
    server.fail(made["id"].replace("-", ""), 500, "The song has no sound: send a file with an audio track.")
    assert "no sound" in page.wait_for(ERROR)
    page.evaluate("document.querySelector('.song.failed [aria-label^=Delete]').click()")


def test_the_same_file_again_is_a_second_song(page: Page, server: Server, tmp_path: Path) -> None:
    parts = sounds(("vocals", "drums"))
    song = tmp_path / "Twice.wav"
    song.write_bytes(as_file(parts["vocals"][:40_000], "WAV"))
    for count in (1, 2):
        page.choose_files("input[type=file]", [song])
        wait_until(lambda: server.client.get("/v1/separations?state=pending").json()["separations"])
        (made,) = server.client.get("/v1/separations?state=pending").json()["separations"]
        finish(server, made["id"].replace("-", ""), parts)
        page.wait_for(f"document.querySelectorAll('.song.succeeded').length === {count}")


def test_a_server_that_is_not_there_yet(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.open(f"{server.url}/#key={server.key}")
    page.wait_for("document.querySelector('.drop-zone')")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **offline)
    page.evaluate("location.hash = '#/account'")
    assert "cannot be reached" in page.wait_for("document.querySelector('.problem')?.innerText")
    page.call("Network.emulateNetworkConditions", offline=False, **offline)
    page.click(".problem .primary")
    page.wait_for("document.querySelector('.page-head')")


def test_a_song_that_is_gone_or_is_no_id(page: Page) -> None:
    for place in ("song/00000000-0000-0000-0000-000000000000", "song/0"):
        page.evaluate(f"location.hash = '#/{place}'")
        assert "no separation with this id" in page.wait_for("document.querySelector('.problem')?.innerText")
        page.click(".problem a")
        page.wait_for("document.querySelector('.drop-zone')")


def test_a_key_that_is_revoked_in_mid_use_loses_no_song(browser: Browser, server: Server) -> None:
    key = server.service.keys.create("guest", account="alice").key
    page = browser.new_page()
    page.open(f"{server.url}/#key={key}")
    page.wait_for("document.querySelector('.drop-zone')")
    server.service.keys.revoke("guest")
    drop(page, "late.wav", 2000)
    assert "signed out" in page.wait_for("document.querySelector('.key-form .error')?.innerText")
    page.evaluate(f"document.querySelector('#key').value = {json.dumps(server.key)}")
    page.click(".key-form .primary")
    # The server has it, and the page no longer keeps it to send it.
    page.wait_for("document.querySelector('.song.busy:has([aria-label^=Rename])')?.innerText.includes('late')")
    clear(page)
