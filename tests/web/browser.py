"""Chromium without a window, driven through its debugging pipe (the Chrome DevTools Protocol); nothing else is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 120.0
"""Machines are slow at times; a test that goes well waits for nothing."""

_EXEC = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
"""The browser reads commands from descriptor 3 and writes replies to 4."""


def chromium() -> str | None:
    """The browser's program, if it is installed."""
    return shutil.which("chromium") or shutil.which("google-chrome")


class Browser:
    """The process and its pipe."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, replies: int) -> None:
        self._process = process
        self._commands = commands
        self._replies = replies
        self._buffer = b""
        self._last_id = 0
        self._contexts: list[str] = []
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        while True:
            reply = self._read()
            if reply.get("id") == self._last_id:
                assert "error" not in reply, f"{method}: {reply['error']}"
                return dict(reply["result"])
            self.events.append(reply)

    def new_page(self, width: int = 1280, height: int = 800, *, is_phone: bool = False) -> Page:
        """A tab with a storage of its own."""
        self._contexts.append(self.call("Target.createBrowserContext")["browserContextId"])
        return self._open_tab(self._contexts[-1], width, height, is_phone)

    def another_tab(self, page: Page, width: int = 1280, height: int = 800) -> Page:
        """A tab with the storage of another one."""
        return self._open_tab(page.context, width, height, False)

    def close_pages(self) -> None:
        """Closes all tabs, and forgets what they stored."""
        while self._contexts:
            self.call("Target.disposeBrowserContext", browserContextId=self._contexts.pop())
        self.events.clear()

    def _open_tab(self, context: str, width: int, height: int, is_phone: bool) -> Page:
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            page.call(f"{domain}.enable")
        page.resize(width, height, is_phone=is_phone)
        return page

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready = select.select([self._replies], [], [], max(0.0, deadline - time.monotonic()))[0]
            piece = os.read(self._replies, 1 << 20) if ready else b""
            assert piece, "the browser does not answer"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


class Page:
    """A tab."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self.context = context
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command to the tab and returns its result."""
        return self._browser.call(method, self._session, **parameters)

    def resize(self, width: int, height: int, *, is_phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )

    def prefer(self, **features: str) -> None:
        """Sets media features: ``prefers_color_scheme="dark"``."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=listed)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def reload(self) -> None:
        """Loads the page again. The old one is gone on return, so that nothing is read from it."""
        before = self._loads
        self.call("Page.reload")
        deadline = time.monotonic() + PATIENCE_S
        while self._loads == before:
            assert time.monotonic() < deadline, "the page was not loaded again"
            time.sleep(0.02)
            self._browser.call("Browser.getVersion")  # events are read with its reply

    @property
    def _loads(self) -> int:
        return len([one for one in self.events if one["method"] == "Page.loadEventFired"])

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the tab has told so far."""
        return [one for one in self._browser.events if one.get("sessionId") == self._session]

    def evaluate(self, script: str) -> Any:
        """The value of an expression, or of the promise that it gives."""
        reply = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    def wait_for(self, condition: str, patience_s: float = PATIENCE_S) -> Any:
        """Waits until an expression is true, and gives its value."""
        deadline = time.monotonic() + patience_s
        while (value := self.evaluate(condition)) in (None, False, 0, ""):  # an element is an empty object here
            assert time.monotonic() < deadline, f"it did not come about: {condition}; {self.evaluate(TEXT)}"
            time.sleep(0.02)
        return value

    def click(self, selector: str) -> None:
        """A real click in the middle of the first element that matches, once nothing lies over it."""
        box = self.wait_for(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); if (!found) return null;"
            "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect();"
            "const place = {x: box.x + box.width / 2, y: box.y + box.height / 2};"
            "const hit = document.elementFromPoint(place.x, place.y);"
            "return found.contains(hit) && place; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box["x"], y=box["y"], button="left", clickCount=1)

    def press(self, key: str, code: str, text: str = "", modifiers: int = 0) -> None:
        """A key; modifiers: 1 Alt, 2 Ctrl, 4 Meta, 8 Shift."""
        common = {"key": key, "code": code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def choose_files(self, selector: str, files: Sequence[Path]) -> None:
        """Chooses files in a file input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def drop_files(self, files: Sequence[Path]) -> None:
        """Drops files of this machine in the middle of the page."""
        width, height = self.evaluate("[innerWidth, innerHeight]")
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=width / 2, y=height / 2, data=data)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    @property
    def complaints(self) -> list[str]:
        """Errors on the console: exceptions, what the policy refuses, failed requests."""
        self.evaluate("0")  # what came so far is read with its reply
        found = []
        for event in self.events:
            details = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                thrown = details["exceptionDetails"]
                found.append(str(thrown.get("exception", {}).get("description", thrown["text"])))
            elif event["method"] == "Log.entryAdded" and details["entry"]["level"] == "error":
                found.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")
        return found

    @property
    def requests(self) -> list[str]:
        """The addresses of all requests so far."""
        self.evaluate("0")
        return [
            str(event["params"]["request"]["url"])
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    @property
    def hosts(self) -> set[str]:
        """Where the page has sent requests."""
        return {url.split("/")[2] for url in self.requests if url.startswith("http")}


TEXT = "document.body.innerText.slice(-600)"


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Runs the browser, with its files in a folder.

    Without a sound card the context's clock runs all the same.
    """
    program = chromium()
    assert program is not None
    (command_out, command_in), (reply_out, reply_in) = os.pipe(), os.pipe()
    arguments = [
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--mute-audio",
        "--hide-scrollbars",
        "--autoplay-policy=no-user-gesture-required",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", _EXEC, str(command_out), str(reply_in), *arguments],
        pass_fds=(command_out, reply_in),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(command_out)
    os.close(reply_in)
    browser = Browser(process, command_in, reply_out)
    try:
        yield browser
    finally:
        try:
            browser.call("Browser.close")
            process.wait(30)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        os.close(command_in)
        os.close(reply_out)
