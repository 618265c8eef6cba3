"""The account's view: keys, usage, callbacks, and lines that really work when they are pasted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import Server, starting
from tests.api.native import hex_id, order, receiver
from tests.waiting import wait_until
from tests.web.browser import Browser, Page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    with starting(tmp_path_factory.mktemp("account"), mp3) as start:
        yield start(rate_limit="0", prices={"v1": 2.5})


@pytest.fixture
def page(browser: Browser, server: Server) -> Page:
    page = browser.new_page()
    page.open(f"{server.url}/#key={server.key}")
    page.wait_for("document.querySelector('.drop-zone')")
    return page


def show_account(page: Page) -> None:
    page.evaluate("location.hash = '#/account'")
    page.wait_for("document.querySelector('.lines li') && document.querySelector('.numbers dd')")


def create_key(page: Page, name: str) -> str:
    page.evaluate("document.querySelector('#key-name').focus()")
    page.call("Input.insertText", text=name)
    page.press("Enter", "Enter", "\r")
    return str(page.wait_for("document.querySelector('.secret')?.textContent"))


def test_a_key_is_created_shown_once_and_revoked(page: Page, server: Server) -> None:
    show_account(page)
    name = "<b>phone</b>"
    key = create_key(page, name)
    assert server.service.keys.authenticate(key).key_name == name
    page.wait_for(f"document.querySelector('.lines').innerText.includes({json.dumps(name)})")
    assert key in page.evaluate("document.querySelector('.snippet').textContent")
    show_account(page)
    page.evaluate("location.hash = '#/'")
    page.wait_for("document.querySelector('.drop-zone')")
    show_account(page)
    assert page.evaluate(f"document.documentElement.innerHTML.includes({json.dumps(key)})") is False
    page.click("[aria-label='Revoke <b>phone</b>']")
    page.click(".danger")
    page.wait_for(f"!document.querySelector('.lines').innerText.includes({json.dumps(name)})")
    assert name not in [one.name for one in server.service.account_keys.list(server.caller.account_id)]
    assert page.complaints == []


def test_revoking_the_key_in_use_signs_out(browser: Browser, server: Server) -> None:
    key = server.service.keys.create("guest").key
    page = browser.new_page()
    page.open(f"{server.url}/#key={key}")
    page.wait_for("document.querySelector('.drop-zone')")
    show_account(page)
    page.click("[aria-label='Revoke guest']")
    page.click(".danger")
    page.wait_for("document.querySelector('#key')")


def test_usage_is_a_plot_and_a_table(browser: Browser, tmp_path: Path, mp3: bytes) -> None:
    with starting(tmp_path, mp3) as start:
        server = start(rate_limit="0", prices={"v1": 2.5})
        server.service.ledger.grant("alice", 100_000)
        server.succeed(hex_id(order(server)), seconds=90.0)
        page = browser.new_page()
        page.open(f"{server.url}/#key={server.key}")
        page.wait_for("document.querySelector('.drop-zone')")
        show_account(page)
        page.wait_for("document.querySelectorAll('.plot .bar-place').length === 30")
        numbers = page.evaluate("document.querySelector('.numbers').innerText")
        assert "997.5" in numbers and "1.5" in numbers
        rows = page.evaluate("[...document.querySelectorAll('.figure tbody tr')].map((row) => row.innerText)")
        assert rows == ["today\t2.5"]
        tall = page.evaluate("document.querySelector('.plot .bar-place:last-of-type rect:not(.hit)').getBBox().height")
        assert tall > 50
        page.evaluate(
            "document.querySelector('.plot .bar-place:last-of-type').dispatchEvent(new PointerEvent('pointerenter'))"
        )
        assert page.evaluate("document.querySelector('.plot-tip').textContent") == (
            "today · 2.5 credits · 1 separation · 1.5 min"
        )
        browser.close_pages()


def test_a_callback_is_sent_again(page: Page, server: Server) -> None:
    with receiver() as (hook, received):
        made = order(server, callback_url=hook)
        server.succeed(hex_id(made))
        server.deliver()
        assert len(received) == 1
        show_account(page)
        page.wait_for(f"document.body.innerText.includes({json.dumps(hook)})")
        assert "delivered · attempt 1" in page.evaluate("document.body.innerText")
        page.click("[aria-labelledby=callbacks-title] .lines button")
        wait_until(lambda: server.deliver() == 1)
        assert len(received) == 2
        page.wait_for("document.body.innerText.includes('delivered · attempt 2')")


def pasted(page: Page, server: Server, face: str, language: str, key: str, hook: str) -> str:
    """The lines of the page, with a song and a web hook of this machine in the place of those that are examples."""
    page.click(f"input[name=API][value={face}] + span")
    page.click(f"input[name=Language][value={language}] + span")
    lines = str(page.evaluate("document.querySelector('.snippet').textContent"))
    assert server.url in lines and key in lines
    song = server.service.links.track_url(server.add_track())
    return lines.replace("https://example.com/song.mp3", song).replace("https://example.com/hook", hook)


@pytest.mark.parametrize("face", ["own", *(pytest.param(face, marks=pytest.mark.long) for face in ("kie", "crun"))])
def test_the_lines_work_as_they_stand(page: Page, server: Server, tmp_path: Path, face: str) -> None:
    show_account(page)
    key = create_key(page, f"pasted-{face}")
    (tmp_path / "song.mp3").write_bytes(server.mp3)
    with receiver() as (hook, _):
        lines = pasted(page, server, face, "curl", key, hook)
        *_, wrong = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines.split("\n# 2")[0]], cwd=tmp_path, capture_output=True, text=True
        ).stdout.splitlines()
        first = json.loads(wrong)
        if face == "own":
            second = re.sub("TRACK_ID", first["id"], lines.split("# 3")[0].split("\n# 2")[1])
            done = subprocess.run(
                ["bash", "-euc", f"STEMWRIGHT_KEY={key}\n#{second}"], cwd=tmp_path, capture_output=True, text=True
            )
            task_id = json.loads(done.stdout)["id"]
        else:
            assert "data" in first, first
            task_id = first["data"]["taskId" if face == "kie" else "task_id"]
            assert first["code"] == 200
        ended = server.succeed(task_id.replace("-", ""))
        last = lines.split("\n# 3" if face == "own" else "\n# 2")[1]
        last = re.sub("SEPARATION_ID|TASK_ID", task_id, last)
        asked = subprocess.run(
            ["bash", "-euc", f"STEMWRIGHT_KEY={key}\n#{last}"], cwd=tmp_path, capture_output=True, text=True
        )
        assert {"own": "event: end", "kie": '"SUCCESS"', "crun": '"success"'}[face] in asked.stdout
        assert (tmp_path / "stems.zip").exists() == (face == "own")
        script = pasted(page, server, face, "python", key, hook)
        before = len(server.client.get("/v1/separations?limit=100").json()["separations"])
        running = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        try:
            newest = "/v1/separations?limit=100"
            wait_until(lambda: len(server.client.get(newest).json()["separations"]) == before + 1)
            server.succeed(hex_id(server.client.get(newest).json()["separations"][0]))
            output, _ = running.communicate(timeout=120)
        finally:
            running.kill()
        assert running.returncode == 0
        assert ("vocals.flac" if face == "own" else "vocal") in output.lower(), output
        assert ended.state == "succeeded"
