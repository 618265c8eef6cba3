"""The menu of what can be saved."""

from __future__ import annotations

from tests.api.conftest import Server
from tests.waiting import wait_until
from tests.web.browser import Page
from tests.web.conftest import Finished, finished_song, sounds
from tests.web.test_page import UNNAMED, open_song


def click_item(page: Page, text: str) -> None:
    page.evaluate("document.querySelector('.menu').open = true")
    page.evaluate(
        f"[...document.querySelectorAll('.menu .item')].find((one) => one.innerText.includes('{text}')).click()"
    )


def test_a_stem_file_has_the_groups_that_were_chosen(page: Page, server: Server, finished: Finished) -> None:
    page.call("Page.setDownloadBehavior", behavior="deny")
    open_song(page, server, finished)
    click_item(page, "stem.mp4")
    page.wait_for("document.querySelector('dialog[open]')")
    assert page.evaluate(UNNAMED) == []
    values = "[...document.querySelectorAll('dialog select')].map((one) => one.value)"
    assert page.evaluate(values) == ["0", "1", "2"]
    page.evaluate("document.querySelector('#group-bass').value = '0'")
    page.evaluate("document.querySelector('dialog .group-names input').value = 'Rhythm & low'")
    page.click("dialog button.primary")
    query = "codec=aac&group=Rhythm+%26+low%3Adrums%2Cbass&group=Bass%3A&group=Other%3Aresidual&group=Vocals%3A"
    address = f"{server.url}/v1/separations/{finished.id}/stem.mp4?{query}"
    wait_until(lambda: address in page.requests)
    page.wait_for("!document.querySelector('.menu .item.busy')")
    assert page.evaluate("document.querySelectorAll('.note').length") == 0
    assert server.client.get(address).status_code == 200
    assert page.complaints == []


def test_cancelling_asks_for_nothing(page: Page, server: Server, finished: Finished) -> None:
    open_song(page, server, finished)
    click_item(page, "stem.mp4")
    page.click("dialog button[type=button]")
    page.wait_for("!document.querySelector('dialog')")
    assert not any("stem.mp4" in url for url in page.requests)


def test_large_files_are_links_that_the_browser_saves_as_they_come(
    page: Page, server: Server, finished: Finished
) -> None:
    open_song(page, server, finished)
    for text, file in (("REAPER", "daw.zip"), ("one zip", "stems.zip")):
        link = f"[...document.querySelectorAll('.menu a.item')].find((one) => one.innerText.includes('{text}'))"
        page.evaluate("document.querySelector('.menu').open = true")
        assert page.evaluate(f"{link}.hasAttribute('download') && {link}.href").endswith(f"/{finished.id}/{file}")
        assert page.evaluate(f"fetch({link}.href).then((reply) => reply.status)") == 200


def test_what_has_expired_is_said_on_the_page(page: Page, server: Server) -> None:
    page.call("Page.setDownloadBehavior", behavior="deny")
    gone = finished_song(server, sounds(("drums", "bass", "residual")))
    open_song(page, server, gone)
    page.evaluate("document.querySelector('.menu').open = true")
    before = len(page.requests)
    page.click(".menu [data-stem=bass]")
    wait_until(lambda: f"{server.url}/v1/separations/{gone.id}" in page.requests[before:])
    month = "const now = Date.now; Date.now = () => now() + 30 * 86400000"
    page.evaluate(month)
    page.click(".menu [data-stem=bass]")
    assert "no longer stored" in page.wait_for("document.querySelector('.note')?.innerText")
    assert server.client.delete(f"/v1/separations/{gone.id}").status_code == 204
    page.click(".menu [download][href$='stems.zip']")
    page.wait_for("document.querySelector('#notes').innerText.includes('no separation with this id')")
    assert page.evaluate("location.href").startswith(f"{server.url}/")
