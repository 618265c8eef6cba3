"""The page as people use it: real clicks and keys in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stemwright.database import tables
from stemwright.service import server_state
from stemwright.service.submissions import MAINTENANCE
from stemwright.stems import select
from tests.api.conftest import Server
from tests.api.native import hex_id
from tests.waiting import wait_until
from tests.web.browser import Browser, Page
from tests.web.conftest import TITLE, Finished, finish, finished_song, sounds

UNNAMED = """
(() => [...document.querySelectorAll("button, a[href], input:not([hidden]), select, summary, [role=slider]")]
  .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") || one.textContent.trim() || one.title
    || one.labels?.length || one.getAttribute("aria-hidden")))
  .map((one) => one.outerHTML.slice(0, 80)))()
"""

ESCAPE = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))"

SCROLL_WIDTH = "document.documentElement.scrollWidth"


def open_song(page: Page, server: Server, finished: Finished) -> None:
    page.evaluate(f"location.hash = '#/song/{finished.id}'")
    page.wait_for("document.querySelector('.play')")


def open_whole_song(page: Page, server: Server, finished: Finished) -> None:
    """Opens the player and waits until all waveforms and the first segments are there."""
    open_song(page, server, finished)
    page.wait_for("performance.getEntriesByType('resource').some((one) => one.name.endsWith('/segments/0'))")


def pending(server: Server) -> list[dict[str, Any]]:
    """The separations that wait for a worker."""
    return list(server.client.get("/v1/separations?state=pending").json()["separations"])


def seconds(page: Page) -> float:
    minutes, rest = page.evaluate("document.querySelector('.time').textContent.split(' / ')[0].split(':')")
    return 60 * int(minutes) + float(rest)


def test_the_key_is_asked_for_once(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.open(f"{server.url}/")
    page.wait_for("document.querySelector('#key')")
    page.evaluate("document.querySelector('#key').value = 'sw_wrong'")
    page.click(".key-form .primary")
    assert "does not know this key" in page.wait_for("document.querySelector('.key-form .error').textContent")
    page.evaluate(f"document.querySelector('#key').value = {json.dumps(server.key)}")
    page.click(".key-form .primary")
    page.wait_for("document.querySelector('.drop-zone')")
    page.reload()
    page.wait_for("document.querySelector('.drop-zone')")
    kept = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert server.key not in kept and json.loads(kept)[0] == "", "no script can read the session"
    page.evaluate("location.hash = '#/account'")
    page.wait_for("document.querySelector('.page-head button')")
    page.click(".page-head button")
    page.wait_for("location.hash === '#/' && document.querySelector('#key')")
    page.reload()
    page.wait_for("document.querySelector('#key')")


def test_the_one_time_address_signs_in_once(browser: Browser, server: Server) -> None:
    token = server.service.sessions.one_time_token("alice")
    page = browser.new_page()
    page.open(f"{server.url}/#open={token}")
    page.wait_for("document.querySelector('.drop-zone')")
    assert page.evaluate("location.href") == f"{server.url}/"
    other = browser.new_page()
    other.open(f"{server.url}/#open={token}")
    assert "This link was used" in other.wait_for("document.querySelector('.key-form .error')?.textContent")
    page.evaluate(f"location.hash = '#open={token}'")  # it is signed in, so the used link does no harm
    page.wait_for("location.hash === '' && document.querySelector('.drop-zone')")


def test_the_address_of_the_first_start_opens_it_and_is_not_kept(page: Page, server: Server) -> None:
    assert page.evaluate("location.href") == f"{server.url}/"
    assert page.complaints == [] and page.hosts == {server.url.removeprefix("http://")}


def test_a_revoked_key_leads_to_the_form(browser: Browser, server: Server) -> None:
    made = server.service.keys.create("web-guest")
    page = browser.new_page()
    page.open(f"{server.url}/#key={made.key}")
    page.wait_for("document.querySelector('.drop-zone')")
    server.service.keys.revoke("web-guest")
    page.evaluate("location.hash = '#/account'; location.hash = '#/'")
    assert "revoked" in page.wait_for("document.querySelector('.key-form .error')?.textContent")


def test_a_song_goes_in_and_its_stems_come_out(page: Page, server: Server, sound_file: Path) -> None:
    before = {one["id"] for one in pending(server)}
    page.choose_files("input[type=file]", [sound_file])
    page.wait_for("document.querySelector('.song.busy')")
    wait_until(lambda: len(pending(server)) > len(before))
    (waiting,) = [one for one in pending(server) if one["id"] not in before]
    assert (waiting["mode"], waiting["plan"], waiting["format"]) == ("twelve", "fast", "flac")
    task_id = waiting["id"].replace("-", "")
    finish(server, task_id, sounds(("vocals", "drums", "fx")))
    page.wait_for(f"document.querySelector('.song.succeeded a[href=\"#/song/{waiting['id']}\"]')")
    assert "A song of the tests" in page.evaluate("document.querySelector('.songs').innerText")
    page.click(f".song.succeeded .what a[href='#/song/{waiting['id']}']")
    page.wait_for("document.querySelectorAll('.row[data-stem]:not(.song)').length === 2")
    assert page.evaluate("document.querySelector('.silent').innerText") == "1 stem is silent"
    page.press(" ", "Space", " ")
    page.wait_for("document.querySelector('.play').getAttribute('aria-label') === 'Pause'")
    wait_until(lambda: seconds(page) > 0.5)
    page.press(" ", "Space", " ")
    page.wait_for("document.querySelector('.play').getAttribute('aria-label') === 'Play'")
    stopped = seconds(page)
    page.press("ArrowRight", "ArrowRight")
    assert page.wait_for(f"parseFloat(document.querySelector('.time').textContent.slice(2)) > {stopped + 4}")
    assert page.complaints == []


def test_what_plays_is_named_for_this_song_alone(page: Page, server: Server, sound_file: Path) -> None:
    before = {one["id"] for one in pending(server)}
    page.click(".known summary")
    for stem in ("vocals", "guitar"):
        page.click(f".known [data-stem={stem}] span")
    assert page.evaluate("document.querySelector('.known summary').innerText").endswith("2 named")
    page.click(".segmented input[value=some] + span")
    assert "Drums is chosen above and not among what plays" in page.wait_for(
        "document.querySelector('.order .error').innerText"
    )
    page.click(".segmented input[value=twelve] + span")
    page.wait_for("document.querySelector('.order .error').innerText === ''")
    page.choose_files("input[type=file]", [sound_file])
    wait_until(lambda: len(pending(server)) > len(before))
    (waiting,) = [one for one in pending(server) if one["id"] not in before]
    assert (waiting["mode"], waiting["playing"]) == ("twelve", ["vocals", "backing_vocals", "guitar"])
    server.client.post(f"/v1/separations/{waiting['id']}/cancel")
    page.reload()
    page.wait_for("document.querySelector('.known summary')")
    assert page.evaluate("document.querySelectorAll('.known input:checked').length") == 0
    assert page.complaints == []


def test_keys_solo_mute_loop_and_zoom(page: Page, server: Server, finished: Finished) -> None:
    open_song(page, server, finished)

    def pressed(selector: str) -> str:
        return str(page.evaluate(f"document.querySelector({json.dumps(selector)}).ariaPressed"))

    page.press("2", "Digit2", "2")
    assert pressed(".row[data-stem=bass] .solo") == "true"
    assert page.evaluate("document.querySelector('.row[data-stem=drums]').className") == "row unheard"
    page.press("1", "Digit1", "1", modifiers=8)
    assert (pressed(".row[data-stem=bass] .solo"), pressed(".row[data-stem=drums] .solo")) == ("false", "true")
    page.press("r", "KeyR", "r")
    assert pressed(".row[data-stem=drums] .solo") == "false"
    page.evaluate("document.querySelector('.row[data-stem=bass] .volume').focus()")
    page.press("m", "KeyM", "m")
    assert pressed(".row[data-stem=bass] .mute") == "true"
    page.press("l", "KeyL", "l")
    assert pressed("[aria-label=Loop]") == "true"
    page.press("a", "KeyA", "a")
    page.wait_for("document.querySelector('.toggle.original').ariaPressed === 'true'")
    page.press("?", "Slash", "?", modifiers=8)
    assert "solo of a stem" in page.wait_for("document.querySelector('dialog[open]').innerText")
    assert page.complaints == []


def test_a_click_seeks_and_a_drag_on_the_ruler_loops(page: Page, server: Server, finished: Finished) -> None:
    open_song(page, server, finished)
    page.click(".lanes")
    wait_until(lambda: abs(seconds(page) - 5.65) < 0.2, "the middle of the song")
    box = page.evaluate(
        "(({x, y, width}) => ({x, y, width}))(document.querySelector('.ruler').getBoundingClientRect())"
    )
    for kind, share in (("mousePressed", 0.2), ("mouseMoved", 0.3), ("mouseMoved", 0.4), ("mouseReleased", 0.4)):
        x, y = box["x"] + share * box["width"], box["y"] + 10
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
    page.wait_for("document.querySelector('.region.on')")
    assert abs(page.evaluate("parseFloat(document.querySelector('.region').style.left)") - 20) < 1
    assert abs(page.evaluate("parseFloat(document.querySelector('.region').style.width)") - 20) < 1


@pytest.mark.parametrize("view", ["home", "player"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_every_control_has_a_name_and_nothing_is_wider_than_the_screen(
    page: Page, server: Server, finished: Finished, view: str, width: int, height: int
) -> None:
    page.resize(width, height, is_phone=width < 500)
    if view == "player":
        open_song(page, server, finished)
    else:
        page.wait_for("document.querySelector('.song.succeeded')")
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(SCROLL_WIDTH) <= width


def test_titles_are_text(page: Page, server: Server, finished: Finished) -> None:
    page.wait_for(f"document.querySelector('.songs').innerText.includes({json.dumps(TITLE)})")
    open_song(page, server, finished)
    assert page.evaluate("document.querySelector('h1').textContent") == TITLE
    assert page.evaluate("document.querySelectorAll('main img').length") == 0
    assert page.complaints == []


def test_what_waits_to_be_sent_survives_a_reload(page: Page, server: Server, sound_file: Path) -> None:
    def sent() -> int:
        return sum(track["title"] == sound_file.stem for track in server.client.get("/v1/tracks").json()["tracks"])

    before, sent_before = len(pending(server)), sent()
    server.maintain()
    page.choose_files("input[type=file]", [sound_file])
    assert "maintenance" in page.wait_for("document.querySelector('.song.busy .error')?.textContent")
    page.reload()
    page.wait_for("document.querySelector('.song.busy .error')")
    assert len(pending(server)) == before
    with server.service.database.write() as session:
        server_state.put(session, MAINTENANCE, "off")
    wait_until(lambda: len(pending(server)) == before + 1)
    assert sent() <= sent_before + 1, "the file was sent once here"
    with server.service.database.read() as session:
        assert session.query(tables.Task).filter_by(state="pending").count() == before + 1


def test_a_reload_in_mid_task_shows_how_far_it_is(page: Page, server: Server, sound_file: Path) -> None:
    before = {one["id"] for one in pending(server)}
    page.choose_files("input[type=file]", [sound_file])
    wait_until(lambda: len(pending(server)) > len(before))
    (made,) = [one for one in pending(server) if one["id"] not in before]
    lease = server.hold(hex_id(made))
    server.service.worker_tasks.progress(hex_id(made), lease.token, "separating", 0.4)
    shown = "document.querySelector('.songs')?.innerText.includes('Separating · 40 %')"
    page.wait_for(shown)
    page.reload()
    page.wait_for(shown)
    server.succeed(hex_id(made), lease=lease)
    page.wait_for(f"document.querySelector('.song.succeeded a[href=\"#/song/{made['id']}\"]')")


def test_a_file_that_is_no_sound_is_said(page: Page, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear all")
    (tmp_path / "empty.mp3").touch()
    page.choose_files("input[type=file]", [tmp_path / "letter.txt"])
    assert "None of these is an audio file" in page.wait_for("document.querySelector('.note')?.innerText")
    page.choose_files("input[type=file]", [tmp_path / "empty.mp3"])
    page.wait_for("document.querySelector('#notes').innerText.includes('empty.mp3 is empty')")


def test_deleting_can_be_undone(page: Page, server: Server, finished: Finished) -> None:
    page.wait_for(f"document.querySelector('.song a[href=\"#/song/{finished.id}\"]')")
    count = page.evaluate("document.querySelectorAll('.song').length")
    # In one go: it can be undone for six seconds only.
    left = page.evaluate(
        f"document.querySelector(\".song:has(a[href='#/song/{finished.id}']) [aria-label^=Delete]\").click();"
        "const left = document.querySelectorAll('.song').length;"
        "[...document.querySelectorAll('.note button')].find((one) => one.innerText === 'Undo').click(); left"
    )
    assert left == count - 1
    page.wait_for(f"document.querySelectorAll('.song').length === {count}")
    assert server.client.get(f"/v1/separations/{finished.id}").status_code == 200


def test_a_page_that_is_left_deletes_what_was_deleted(page: Page, server: Server) -> None:
    gone = finished_song(server, sounds(select("drums").names))
    page.click(".song:has(a[href='#/song/%s']) [aria-label^=Delete]" % gone.id)  # noqa: UP031
    page.wait_for("document.querySelector('.note button')")
    page.open(f"{server.url}/start")
    wait_until(lambda: server.client.get(f"/v1/separations/{gone.id}").status_code == 404)


def test_songs_are_searched_sorted_and_renamed(page: Page, server: Server, finished: Finished) -> None:
    other = finished_song(server, sounds(select("bass").names))
    track = server.client.get(f"/v1/separations/{other.id}").json()["track_id"]
    server.client.patch(f"/v1/tracks/{track}", json={"title": "Another song"})
    page.wait_for("document.querySelector('.songs').innerText.includes('Another song')")
    row = ".song:has(a[href='#/song/%s'])" % other.id  # noqa: UP031
    page.click(f"{row} [aria-label^=Rename]")
    page.call("Input.insertText", text="AAA first")
    page.press("Enter", "Enter")
    page.wait_for("document.querySelector('.songs').innerText.includes('AAA first')")
    assert server.client.get(f"/v1/tracks/{track}").json()["title"] == "AAA first"
    page.click(f"{row} [aria-label^=Rename]")
    page.call("Input.insertText", text="never")
    page.press("Escape", "Escape")
    page.evaluate(
        "(select => { select.value = 'title'; select.dispatchEvent(new Event('change')); })"
        "(document.querySelector('.list-tools select'))"
    )
    first = "document.querySelector('.song .what strong').textContent"
    page.wait_for(f"{first} === {json.dumps(TITLE)} || {first} === 'AAA first'")
    page.evaluate("document.querySelector('[type=search]').focus()")
    page.call("Input.insertText", text="aaa")
    page.wait_for(f"document.querySelectorAll('.song').length === 1 && {first} === 'AAA first'")
    page.call("Input.insertText", text="zzz")
    page.wait_for("document.querySelector('.empty')?.innerText.includes('No song has “aaazzz”')")
    page.click(".empty button")
    page.wait_for(f"document.querySelector(\".song a[href='#/song/{finished.id}']\")")
    assert "stored" in page.wait_for("document.querySelector('.list-head .quiet').textContent")
    page.evaluate("localStorage.clear()")
    assert page.complaints == []


def test_the_mix_is_saved_as_it_sounds(page: Page, server: Server, finished: Finished) -> None:
    page.call("Page.setDownloadBehavior", behavior="deny")
    open_song(page, server, finished)
    page.press("2", "Digit2", "2")
    page.click(".menu summary")
    page.click(".menu .item")
    address = f"{server.url}/v1/separations/{finished.id}/mixdown?master=1&stem=drums%3A0%3A0&stem=bass%3A1%3A0"
    wait_until(lambda: address in page.requests)
    page.wait_for("!document.querySelector('.menu .item').disabled")
    assert page.evaluate("document.querySelectorAll('.note').length") == 0
    for leave in ("document.querySelector('h1').click()", ESCAPE):
        page.evaluate("document.querySelector('.menu').open = true")
        page.evaluate(leave)
        assert page.evaluate("document.querySelector('.menu').open") is False


def test_it_plays_on_when_the_server_is_back(page: Page, server: Server, finished: Finished) -> None:
    open_whole_song(page, server, finished)
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **offline)
    for _ in range(2):
        page.press("ArrowRight", "ArrowRight")
    page.press(" ", "Space", " ")
    assert "cannot be reached" in page.wait_for("document.querySelector('.note')?.innerText")
    assert page.evaluate("document.querySelector('.play').classList.contains('waiting')")
    page.call("Network.emulateNetworkConditions", offline=False, **offline)
    page.wait_for("!document.querySelector('.play').classList.contains('waiting')")
    wait_until(lambda: seconds(page) > 10.2)
