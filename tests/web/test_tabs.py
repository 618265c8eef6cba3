"""Two tabs of one browser: what waits is sent once, and both show it."""

from __future__ import annotations

from pathlib import Path

from stemwright.service import server_state
from stemwright.service.submissions import MAINTENANCE
from tests.api.conftest import Server
from tests.waiting import wait_until
from tests.web.browser import Browser, Page
from tests.web.conftest import finish, sounds
from tests.web.test_page import pending


def test_what_waits_is_sent_once_and_seen_in_both(
    browser: Browser, page: Page, server: Server, sound_file: Path, tmp_path: Path
) -> None:
    other = browser.another_tab(page)
    other.open(f"{server.url}/")
    other.wait_for("document.querySelector('.drop-zone')")  # the session is that of the browser
    second = tmp_path / "Another song.wav"
    second.write_bytes(sound_file.read_bytes()[:-4])
    before, tracks = len(pending(server)), len(server.client.get("/v1/tracks").json()["tracks"])
    server.maintain()
    page.choose_files("input[type=file]", [sound_file])
    other.choose_files("input[type=file]", [second])
    for tab in (page, other):
        tab.wait_for("document.querySelectorAll('.song.busy').length >= 2")
    with server.service.database.write() as session:
        server_state.put(session, MAINTENANCE, "off")
    wait_until(lambda: len(pending(server)) == before + 2)
    for tab in (page, other):
        tab.wait_for("!document.querySelector('.songs').innerText.includes('Waits to be sent')")
        tab.wait_for(
            "['A song of the tests', 'Another song'].every((one) => "
            "document.querySelector('.songs').innerText.includes(one))"
        )
    assert len(pending(server)) == before + 2
    assert len(server.client.get("/v1/tracks").json()["tracks"]) == tracks + 2, "each file was sent once"
    for one in pending(server)[:2]:
        finish(server, one["id"].replace("-", ""), sounds(("vocals", "drums")))
    for tab in (page, other):
        tab.wait_for("document.querySelectorAll('.song.succeeded').length >= 2")
        assert not [one for one in tab.complaints if "503" not in one]


def test_signing_out_in_one_tab_signs_out_the_other(browser: Browser, page: Page, server: Server) -> None:
    other = browser.another_tab(page)
    other.open(f"{server.url}/")
    other.wait_for("document.querySelector('.drop-zone')")
    page.evaluate("location.hash = '#/account'")
    page.wait_for("document.querySelector('.page-head button')")
    page.click(".page-head button")
    page.wait_for("document.querySelector('#key')")
    assert "signed out" in other.wait_for("document.querySelector('.key-form .error')?.textContent")
