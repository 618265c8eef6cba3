"""Takes the picture of the player for the README: ``python -m tests.web.picture docs/pictures/player.png``.

The server separates the example song, and the browser plays it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.serving import Serving
from tests.web.browser import browsing

EXAMPLE = Path(__file__).parents[2] / "examples" / "song.mp3"
POSITION_S = 21.6


def main(out: Path) -> None:
    """Writes the picture."""
    with (
        tempfile.TemporaryDirectory() as name,
        Serving(Path(name) / "data") as serving,
        browsing(Path(name)) as browser,
    ):
        try:
            page = browser.new_page(1280, 940)
            page.prefer(prefers_color_scheme="dark")
            page.open(f"{serving.url}/#key={serving.read_key()}")
            page.wait_for("document.querySelector('.drop-zone')")
            page.choose_files("input[type=file]", [EXAMPLE])
            page.click(".song.succeeded .what a")
            page.wait_for("document.querySelector('.play')")
            for _ in range(4):
                page.press("ArrowRight", "ArrowRight")
            page.press(" ", "Space", " ")
            page.wait_for(f"parseFloat(document.querySelector('.time').textContent.slice(2)) > {POSITION_S}")
            page.screenshot(out)
        finally:
            serving.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
