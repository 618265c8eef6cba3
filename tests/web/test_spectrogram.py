"""Spectrograms in the page: the tiles that the screen needs, at its scale, and a way back where there are none."""

from __future__ import annotations

import pytest

from tests.api.conftest import Server
from tests.waiting import wait_until
from tests.web.browser import Page
from tests.web.conftest import Finished, finished_song, sounds
from tests.web.test_page import open_song

LOOKS = "[...document.querySelectorAll('.row:not([hidden]) canvas')].map((one) => one.dataset.look)"

COLOURS = """(() => {
  const canvas = document.querySelector('.row[data-stem=%s] canvas');
  if (canvas.width < 100 || !canvas.height) return false;
  const { data } = canvas.getContext('2d').getImageData(40, 0, canvas.width - 40, canvas.height);
  let red = 0, grey = 0, drawn = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (!data[at + 3] || data[at] < 40) continue;
    drawn += 1;
    if (data[at] > data[at + 1] + 40) red += 1;
    if (Math.abs(data[at] - data[at + 1]) < 6) grey += 1;
  }
  return drawn > 200 && { red: red / drawn, grey: grey / drawn };
})()"""


def shows(row: str, condition: str) -> str:
    """Whether the shares of colours in a row's picture are these; its tiles come one by one."""
    return f"(({{ red, grey }}) => {condition})(({COLOURS % row}) || {{}})"


@pytest.fixture(scope="module")
def finished(server: Server) -> Finished:
    """Drums in the first half of the song and bass in the second."""
    parts = sounds(("drums", "bass", "residual"))
    half = len(parts["drums"]) // 2
    parts["drums"][half:] = 0
    parts["bass"][:half] = 0
    return finished_song(server, parts)


def test_v_shows_spectrograms_then_what_was_taken(page: Page, server: Server, finished: Finished) -> None:
    open_song(page, server, finished)
    assert page.evaluate(LOOKS) == ["waveform"] * 2
    page.press("v", "KeyV", "v")
    assert page.evaluate(LOOKS) == ["spectrogram"] * 2
    page.wait_for(shows("drums", "red > 0.8"))
    page.press("v", "KeyV", "v")
    assert page.evaluate(LOOKS) == ["taken"] * 2
    for stem in ("drums", "bass"):
        page.wait_for(shows(stem, "red > 0.3 && red < 0.7 && grey > 0.3 && grey < 0.7"))
    page.press("v", "KeyV", "v")
    assert page.evaluate(LOOKS) == ["waveform"] * 2
    assert page.complaints == []


def test_a_closer_look_fetches_finer_tiles_of_that_place_only(page: Page, server: Server, finished: Finished) -> None:
    page.resize(640, 800)  # a pixel is wider than a column of the finest level
    open_song(page, server, finished)
    page.click(".row[data-stem=drums] .look")
    page.wait_for(COLOURS % "drums")
    tiles = f"{server.url}/v1/separations/{finished.id}/stems/drums/spectrogram/"

    def fetched() -> set[str]:
        return {url.removeprefix(tiles) for url in page.requests if url.startswith(tiles)}

    whole = fetched()
    assert len(whole) < 5 and not any(tile.startswith("0/") for tile in whole)
    for _ in range(6):
        page.press("+", "Equal", "+", modifiers=8)
    wait_until(lambda: "0/0" in fetched())  # until it is there, a coarser tile is drawn in its place
    assert "0/3" not in fetched()
    assert not any("/stems/bass/spectrogram" in url for url in page.requests)


def test_the_song_is_shown_above_its_stems(page: Page, server: Server, finished: Finished) -> None:
    open_song(page, server, finished)
    page.evaluate("Object.assign(document.querySelector('.corner select'), {value: 'taken'})")
    page.evaluate("document.querySelector('.corner select').dispatchEvent(new Event('change'))")
    page.click(".corner .toggle")
    assert page.evaluate(LOOKS) == ["spectrogram", "taken", "taken"]
    page.wait_for(shows("song", "red > 0.8"))
    assert page.evaluate("document.querySelector('.corner .toggle').ariaPressed") == "true"
    page.click(".corner .toggle")
    assert page.evaluate(LOOKS) == ["taken", "taken"]


def test_without_the_song_it_says_so_and_shows_the_waveform(page: Page, server: Server) -> None:
    gone = finished_song(server, sounds(("drums", "bass", "residual")))
    track_id = server.client.get(f"/v1/separations/{gone.id}").json()["track_id"]
    assert server.client.delete(f"/v1/tracks/{track_id}").status_code == 204
    open_song(page, server, gone)
    page.press("v", "KeyV", "v")
    page.wait_for(COLOURS % "bass")
    page.press("v", "KeyV", "v")
    assert "no longer stored" in page.wait_for("document.querySelector('.note')?.innerText")
    page.wait_for(f"({LOOKS}).every((look) => look === 'waveform')")
    assert page.evaluate("document.querySelectorAll('.note').length") <= 1, "it is said once, and goes after a while"
    page.click(".corner .toggle")
    page.wait_for("document.querySelector('.row.song').hidden")
