"""A tab of the player, and what is measured in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psutil

from tests.web.browser import Browser, Page

WATCH = """
(() => {
  window.firsts = {};
  window.starts = [];
  window.pressed = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => (window.firsts[one.name] = one.startTime)))
    .observe({ type: "paint", buffered: true });
  const seen = new MutationObserver(() => {
    if (!document.querySelector(".drop-zone")) return;
    window.firsts.usable = performance.now();
    seen.disconnect();
  });
  seen.observe(document, { childList: true, subtree: true });
  for (const name of ["pointerdown", "keydown"]) {
    addEventListener(name, (event) => (window.pressed = event.timeStamp), { capture: true });
  }
  const { start } = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function (when = 0, ...rest) {
    const { currentTime, baseLatency = 0, outputLatency = 0 } = this.context;
    const now = performance.now();
    window.starts.push({ now, heard: now + 1000 * (Math.max(0, when - currentTime) + baseLatency + outputLatency) });
    return start.call(this, when, ...rest);
  };
})();
"""
"""Runs before the page. ``starts`` says when the sound of each source will leave the browser."""

HEARD = "window.starts.find((one) => one.now >= window.pressed && window.pressed > 0)?.heard - window.pressed"

SCROLL = """
new Promise((resolve) => {
  const times = [];
  const lanes = document.querySelector(".lanes");
  const { x, y } = lanes.getBoundingClientRect();
  const step = (now) => {
    times.push(now);
    lanes.dispatchEvent(new WheelEvent("wheel", { deltaX: 6, clientX: x + 9, clientY: y + 9, bubbles: true }));
    if (now - times[0] < 1000 * %f) requestAnimationFrame(step);
    else resolve(times);
  };
  requestAnimationFrame(step);
})
"""
FRAME_MS = 1000 / 60
ROWS = "document.querySelectorAll('.row[data-stem]:not([hidden])').length"


@dataclass(frozen=True)
class Load:
    """The first page: bytes of all that came, with headers, and times after the request for it."""

    wire_bytes: int
    paint_ms: float
    usable_ms: float


@dataclass(frozen=True)
class Memory:
    """Of the tab's process: all that is resident, and what no other process shares."""

    resident_mb: float
    own_mb: float


@dataclass(frozen=True)
class Frames:
    """Frames of some seconds: how many, those that came later than two frames after the one before, and what one took."""

    count: int
    late: int
    per_second: float
    main_ms: float
    process_ms: float


class Tab:
    """A tab that is signed in."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self.page = page
        self._browser = browser

    def load(self) -> Load:
        """Loads the page of songs as if for the first time, but with the session."""
        self.page.call("Network.setCacheDisabled", cacheDisabled=True)
        before = len(self._finished())
        self.page.reload()
        self.page.wait_for("window.firsts.usable && window.firsts['first-contentful-paint']")
        firsts = self.page.evaluate("window.firsts")
        sizes = [int(one["params"]["encodedDataLength"]) for one in self._finished()[before:]]
        self.close()
        return Load(sum(sizes), firsts["first-contentful-paint"], firsts["usable"])

    def open_song(self, song_id: str) -> None:
        """Opens the player, until Play is there."""
        self.page.evaluate(f"location.hash = '#/song/{song_id}'")
        self.page.wait_for("document.querySelector('.play')")

    def play_ms(self) -> float:
        """Presses Play; milliseconds until its sound leaves the browser."""
        return self._heard_after(lambda: self.page.click(".play"))

    def seek_ms(self, share: float) -> float:
        """Clicks in a waveform, at a share of its width."""
        box = self.page.evaluate(
            "(({x, y, width}) => ({x, y, width}))(document.querySelector('.lanes').getBoundingClientRect())"
        )
        x, y = box["x"] + share * box["width"], box["y"] + 60

        def click() -> None:
            for kind in ("mousePressed", "mouseReleased"):
                self.page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

        return self._heard_after(click)

    def memory_of_jumps(self, jumps: int) -> Memory:
        """The most memory while the song plays from many places, with each of its pictures."""
        process, most = self._process(), Memory(0.0, 0.0)
        ends = threading.Event()

        def watch() -> None:
            nonlocal most
            while not ends.wait(0.2):
                now = process.memory_full_info()
                most = Memory(max(most.resident_mb, now.rss / 1e6), max(most.own_mb, now.uss / 1e6))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.play_ms()
            for jump in range(jumps):
                if jump % (jumps // 3) == 0 and jump:
                    self.page.press("v", "KeyV", "v")
                self.seek_ms((jump * 0.381) % 0.98)
                time.sleep(1)
        finally:
            ends.set()
            watcher.join()
        return most

    def scroll(self, seconds: float) -> Frames:
        """Plays some seconds of the song at once on the screen, and moves on with each frame."""
        assert self.page.evaluate(ROWS) >= 12
        if self.page.evaluate("document.querySelector('.play').ariaLabel") == "Play":
            self.play_ms()
        for _ in range(4):
            self.page.press("+", "Equal", "+", modifiers=8)
        time.sleep(2)  # what it fetches first belongs to no frame
        process = self._process()
        main_before, all_before = _processor_s(process)
        times = self.page.evaluate(SCROLL % seconds)
        main_after, all_after = _processor_s(process)
        for _ in range(4):
            self.page.press("-", "Minus", "_", modifiers=8)
        steps = [after - before for before, after in pairwise(times)]
        return Frames(
            count=len(steps),
            late=sum(step > 2.5 * FRAME_MS for step in steps),
            per_second=1000 * len(steps) / (times[-1] - times[0]),
            main_ms=1000 * (main_after - main_before) / len(steps),
            process_ms=1000 * (all_after - all_before) / len(steps),
        )

    def close(self) -> None:
        """Closes it, so that it takes nothing from the next one."""
        self._browser.close_pages()

    def _heard_after(self, act: Callable[[], None]) -> float:
        self.page.evaluate("window.starts.length = 0; window.pressed = 0")
        act()
        return float(self.page.wait_for(HEARD))

    def _finished(self) -> list[dict[str, Any]]:
        return [one for one in self.page.events if one["method"] == "Network.loadingFinished"]

    def _process(self) -> psutil.Process:
        """The renderer with the most memory: the browser has idle ones too."""
        processes = self._browser.call("SystemInfo.getProcessInfo")["processInfo"]
        renderers = [psutil.Process(one["id"]) for one in processes if one["type"] == "renderer"]
        return max(renderers, key=lambda one: one.memory_info().rss)


def open_tab(browser: Browser, url: str, key: str) -> Tab:
    """A tab with a storage of its own, at the page of songs."""
    page = browser.new_page(1280, 940)
    page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    page.open(f"{url}/#key={key}")
    page.wait_for("document.querySelector('.drop-zone')")
    return Tab(browser, page)


def _processor_s(process: psutil.Process) -> tuple[float, float]:
    """Processor time so far: of the main thread, whose number is that of the process, and of all threads."""
    main = next(thread for thread in process.threads() if thread.id == process.pid)
    return main.user_time + main.system_time, sum(process.cpu_times()[:2])
