"""Accessibility of every view, in light and dark, wide and on a phone: axe-core's rules, focus and keyboard.

axe-core comes from npm, as a tool of the tests; where there is no npm, or it cannot fetch, its tests skip.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from stemwright.stems import select
from tests.api.conftest import Server, starting
from tests.api.native import hex_id, order, receiver
from tests.web.browser import Browser, Page
from tests.web.conftest import Finished, finished_song, sounds

AXE = "axe-core@4.14.1"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
VIEWS = ("sign-in", "home", "song", "account", "operator", "problem")
SOON = ("home", "account")
"""Views whose rules are in the short set of tests."""

SIZES = {"wide": (1440, 900), "phone": (360, 740)}

RUN = """
axe.run(document, {runOnly: %s, resultTypes: ["violations"]}).then((found) => found.violations.map((one) =>
  `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)
    + " " + (node.any[0]?.message ?? "")).join(" | ")}`))
"""

FOCUSED = """
(() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const box = one.getBoundingClientRect();
  const style = getComputedStyle(one);
  const after = getComputedStyle(one, "::after");
  const label = one.closest("label");
  const sibling = label && one.type !== "text" ? getComputedStyle(label.querySelector("span") ?? label) : style;
  const shows = [style, after, sibling].some((each) => each.outlineStyle !== "none" && parseFloat(each.outlineWidth) > 0);
  return [one.outerHTML.slice(0, 90), shows, box.width > 0 && box.height > 0];
})()
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm, so axe-core is not there")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), AXE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        pytest.skip(f"npm cannot fetch {AXE}: {done.stderr.strip()[-200:]}")
    return script.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    with starting(tmp_path_factory.mktemp("accessible"), mp3) as start:
        yield start(rate_limit="0")


@pytest.fixture(scope="module")
def finished(server: Server) -> Finished:
    """A song with a silent stem, beside one that failed, one at work, and a callback."""
    with receiver() as (hook, _):
        failed = order(server, callback_url=hook)
        server.fail(hex_id(failed), 500, "The song is not an audio file that can be read.")
        server.deliver()
    server.hold(hex_id(order(server)))
    return finished_song(server, sounds(select("drums,bass").names))


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.service.keys.create("root", account="alice", scopes=("read", "write", "operator")).key


def show(page: Page, server: Server, finished: Finished, key: str, view: str) -> None:
    """Leads to a view, with all that it fetches."""
    page.open(f"{server.url}/" + ("" if view == "sign-in" else f"#key={key}"))
    if view == "sign-in":
        page.wait_for("document.querySelector('#key')")
        return
    page.wait_for("document.querySelector('.song.succeeded')")
    if view != "home":
        place = {"song": f"song/{finished.id}", "problem": "song/0"}.get(view, view)
        page.evaluate(f"location.hash = '#/{place}'")
        there = {
            "song": "document.querySelector('.play')",
            "account": "document.querySelector('.plot .bar-place') && document.querySelectorAll('.lines li').length > 2",
            "operator": "document.querySelector('.plot .bar-place') && document.querySelectorAll('.lines li').length > 9",
            "problem": "document.querySelector('.problem')",
        }
        page.wait_for(there[view])


@pytest.mark.parametrize(
    "view", [view if view in SOON else pytest.param(view, marks=pytest.mark.long) for view in VIEWS]
)
def test_axe_finds_nothing(browser: Browser, server: Server, finished: Finished, key: str, axe: str, view: str) -> None:
    page = browser.new_page()
    show(page, server, finished, key, view)
    page.call("Runtime.evaluate", expression=axe)
    found = {}
    for size, (width, height) in SIZES.items():
        page.resize(width, height, is_phone=width < 500)
        for scheme in ("light", "dark"):
            page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            if violations := page.evaluate(RUN % json.dumps(RULES)):
                found[f"{size}, {scheme}"] = violations
    assert found == {}


@pytest.mark.long
@pytest.mark.parametrize("view", VIEWS)
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    browser: Browser, server: Server, finished: Finished, key: str, view: str
) -> None:
    page = browser.new_page()
    show(page, server, finished, key, view)
    page.evaluate("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    reached: list[str] = []
    hidden: list[str] = []
    for _ in range(150):
        page.press("Tab", "Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or focused[0] in reached[:1]:
            break
        reached.append(focused[0])
        if not (focused[1] and focused[2]):
            hidden.append(focused[0])
    assert hidden == []
    wanted = page.evaluate(
        "[...document.querySelectorAll('main button, main select, main a[href], main input')].filter((one) =>"
        "one.checkVisibility() && !one.disabled && one.tabIndex >= 0 && one.type !== 'radio')"
        ".map((one) => one.outerHTML.slice(0, 90))"
    )
    assert [one for one in wanted if one not in reached] == []


def test_nothing_moves_where_motion_is_not_wanted(page: Page, server: Server, finished: Finished) -> None:
    page.prefer(prefers_reduced_motion="reduce")
    page.wait_for("document.querySelector('.song.busy progress')")
    assert page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length") == 0


def test_a_view_gives_the_focus_to_its_content(browser: Browser, server: Server, finished: Finished, key: str) -> None:
    page = browser.new_page()
    show(page, server, finished, key, "home")
    page.click("#views [href='#/account']")
    page.wait_for("document.querySelector('.page-head')")
    assert page.evaluate("document.activeElement.id") == "view"
    assert page.evaluate("document.querySelector('[aria-current=page]').textContent") == "Account"
