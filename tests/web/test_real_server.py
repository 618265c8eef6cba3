"""The page and a server of a process of its own, with its worker: the server is killed under the page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
import soundfile

from tests.serving import Serving
from tests.waiting import wait_until
from tests.web.browser import Browser, Page
from tests.web.test_page import seconds

pytestmark = pytest.mark.long

UNREACHABLE = "cannot be reached"
SEPARATION_S = 900.0
"""The patience for a separation: it takes seconds, but workers give way to all else."""


def write_song(path: Path, seconds: int, seed: int) -> Path:
    noise = 0.1 * np.random.default_rng(seed).standard_normal((44_100 * seconds, 2))
    soundfile.write(path, noise, 44_100)
    return path


def write_silent_film(path: Path) -> Path:
    """A second of black pictures, and no sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(24):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def wait_for_songs(page: Page, count: int) -> None:
    """Waits until so many are separated."""
    page.wait_for(f"document.querySelectorAll('.song.succeeded').length === {count}", SEPARATION_S)


def kill(serving: Serving) -> None:
    serving.process.kill()
    serving.process.wait()


def sign_in(browser: Browser, serving: Serving) -> Page:
    page = browser.new_page()
    page.open(f"{serving.url}/#key={serving.read_key()}")
    page.wait_for("document.querySelector('.drop-zone')")
    return page


def test_a_film_without_sound_is_refused_with_a_way_on(browser: Browser, tmp_path: Path) -> None:
    with Serving(tmp_path / "data") as serving:
        page = sign_in(browser, serving)
        page.choose_files("input[type=file]", [write_silent_film(tmp_path / "film.mp4")])
        assert "no audio" in page.wait_for("document.querySelector('.song.failed .error')?.innerText")
        page.choose_files("input[type=file]", [write_song(tmp_path / "song.wav", 1, 0)])
        wait_for_songs(page, 1)
        browser.close_pages()


def test_the_server_is_killed_and_started_again_under_the_page(browser: Browser, tmp_path: Path) -> None:
    first_song, second_song, third_song = (write_song(tmp_path / f"{n}.wav", 30 if n == 1 else 2, n) for n in (1, 2, 3))
    files = "input[type=file]"
    with Serving(tmp_path / "data") as first:
        page = sign_in(browser, first)
        port = str(urlsplit(first.url).port)
        page.choose_files(files, [first_song])
        wait_for_songs(page, 1)
        page.click(".song.succeeded .what a")
        page.wait_for("document.querySelector('.play')")
        page.press(" ", "Space", " ")
        wait_until(lambda: seconds(page) > 1)
        kill(first)
    assert UNREACHABLE in page.wait_for("document.querySelector('.note')?.innerText")
    page.wait_for("document.querySelector('.play').classList.contains('waiting')")
    reached = seconds(page)
    assert reached > 4, "what was there is played to its end"

    with Serving(tmp_path / "data", "--port", port) as second:
        page.wait_for("!document.querySelector('.play').classList.contains('waiting')")
        wait_until(lambda: seconds(page) > reached + 1)
        page.evaluate("location.hash = '#/'")
        wait_for_songs(page, 1)
        kill(second)
        page.choose_files(files, [second_song])
        assert UNREACHABLE in page.wait_for("document.querySelector('.song.busy .error')?.innerText")

    with Serving(tmp_path / "data", "--port", port) as third:
        wait_for_songs(page, 2)
        assert page.evaluate("document.querySelectorAll('.song').length") == 2, "it was sent once"
        page.choose_files(files, [third_song])
        # The server has it, and its worker has begun, or is about to.
        page.wait_for("document.querySelector('.song.busy:has([aria-label^=Rename])')")
        kill(third)
        page.wait_for("!document.querySelector('#offline').hidden")

    with Serving(tmp_path / "data", "--port", port):
        wait_for_songs(page, 3)
        assert page.evaluate("document.querySelector('#offline').hidden")
        page.reload()
        wait_for_songs(page, 3)
        browser.close_pages()
