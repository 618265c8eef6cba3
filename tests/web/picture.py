"""Takes the pictures of the player for README and docs: ``python -m tests.web.picture docs/pictures``.

The server separates the example song, and the browser plays it. ``--all`` takes every view, light and dark, wide and on a
phone, to be looked at.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.serving import Serving
from tests.web.browser import Browser, Page, browsing

EXAMPLE = Path(__file__).parents[2] / "examples" / "song.mp3"
TITLE = "Lanterns"
POSITION_S = 21.6
PATIENCE_S = 900.0
"""For a separation and for pictures: seconds, where nothing else keeps the machine busy."""
SIZES = {"wide": (1280, 940), "phone": (390, 844)}
SCHEMES = ("dark", "light")
KEPT = {"player": "player-wide-dark", "library": "library-wide-light", "phone": "player-phone-dark"}
"""What is kept, by the name of its file."""


def show_library(page: Page) -> None:
    page.evaluate("location.hash = '#/'")
    page.wait_for("document.querySelectorAll('.song.succeeded').length === 2")


def show_player(page: Page) -> None:
    show_library(page)
    page.click(".song.succeeded:last-of-type .what a")
    page.wait_for("document.querySelectorAll('.row[data-stem]').length === 13")
    for _ in range(4):
        page.press("ArrowRight", "ArrowRight")
    page.press(" ", "Space", " ")
    page.wait_for(f"parseFloat(document.querySelector('.time').textContent.slice(2)) > {POSITION_S}")


def show_picture_of_stems(page: Page, look: str) -> None:
    """The player, with another picture in its rows, once all tiles are there."""
    show_player(page)
    page.press(" ", "Space", " ")
    before = len(page.events)
    page.evaluate(
        f"(select => {{ select.value = '{look}'; select.dispatchEvent(new Event('change')); }})"
        "(document.querySelector('.corner select'))"
    )
    deadline = time.monotonic() + PATIENCE_S
    while not are_drawn(page, f"/{look}", before):
        assert time.monotonic() < deadline, "not all tiles came"
        time.sleep(0.5)
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 1000))")


def are_drawn(page: Page, part: str, since: int) -> bool:
    """Whether the facts and a tile of each stem were asked for since some event, and all that was asked for has come."""
    asked = {
        one["params"]["requestId"]
        for one in page.events[since:]
        if one["method"] == "Network.requestWillBeSent" and part in one["params"]["request"]["url"]
    }
    ended = {
        one["params"]["requestId"]
        for one in page.events[since:]
        if one["method"] in ("Network.loadingFinished", "Network.loadingFailed")
    }
    page.evaluate("0")  # what came meanwhile is read with its reply
    return len(asked) >= 24 and asked <= ended


def show_account(page: Page) -> None:
    page.evaluate("location.hash = '#/account'")
    page.wait_for("document.querySelector('.plot .bar-place') && document.querySelector('.lines li')")


def show_operator(page: Page) -> None:
    page.evaluate("location.hash = '#/operator'")
    page.wait_for("document.querySelector('.plot .bar-place') && document.querySelectorAll('.lines li').length > 9")


VIEWS: dict[str, Callable[[Page], None]] = {
    "library": show_library,
    "player": show_player,
    "account": show_account,
    "operator": show_operator,
    "spectrograms": lambda page: show_picture_of_stems(page, "spectrogram"),
    "taken": lambda page: show_picture_of_stems(page, "taken"),
}


def prepare(browser: Browser, serving: Serving, folder: Path) -> Page:
    """A tab that is signed in, with the example in twelve stems and in two."""
    page = browser.new_page(*SIZES["wide"])
    page.open(f"{serving.url}/#key={serving.read_key()}")
    page.wait_for("document.querySelector('.drop-zone')")
    song = folder / f"{TITLE}.mp3"
    shutil.copy(EXAMPLE, song)
    for count, stems in enumerate(("twelve", "two"), 1):
        page.click(f"input[value={stems}] + span")
        page.choose_files("input[type=file]", [song])
        page.wait_for(f"document.querySelectorAll('.song.succeeded').length === {count}", PATIENCE_S)
    return page


def write_small(page: Page, path: Path) -> None:
    """A screenshot without what a PNG can do without."""
    page.screenshot(path)
    with Image.open(path) as picture:
        picture.convert("RGB").save(path, optimize=True)


def main() -> None:
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description="Takes pictures of the player.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--all", action="store_true", help="every view, in each size and scheme")
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        Serving(Path(name) / "data") as serving,
        browsing(Path(name) / "profile") as browser,
    ):
        page = prepare(browser, serving, Path(name))
        for view, show in VIEWS.items():
            for size, (width, height) in SIZES.items():
                names = {scheme: f"{view}-{size}-{scheme}" for scheme in SCHEMES}
                wanted = {kept: name for name, kept in KEPT.items() if kept in names.values()}
                if not (options.all or wanted):
                    continue
                page.resize(width, height, is_phone=size == "phone")
                show(page)
                for scheme, taken in names.items():
                    if options.all or taken in wanted:
                        page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
                        page.evaluate(
                            "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
                        )
                        write_small(page, options.out / f"{taken if options.all else wanted[taken]}.png")
        browser.close_pages()


if __name__ == "__main__":
    main()
