"""The operator's view: who sees it, the switch for maintenance, reasons of failures, and a download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemwright.models import registry, weight_store
from tests.api.conftest import Server, starting
from tests.api.native import hex_id, order
from tests.models.small_registry import small_registry
from tests.waiting import wait_until
from tests.web.browser import Browser, Page

MODEL = "mel-band-roformer-kim"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    with starting(tmp_path_factory.mktemp("operator"), mp3) as start:
        yield start(rate_limit="0", webhook_key="a-secret")


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A tab that shows the view."""
    key = server.service.keys.create("root", scopes=("read", "write", "operator")).key
    page = browser.new_page()
    page.open(f"{server.url}/#key={key}")
    page.wait_for("document.querySelector('.drop-zone')")
    page.click("#views [href='#/operator']")
    page.wait_for("document.querySelector('.numbers dd') && document.querySelector('.plot .bar-place')")
    yield page
    server.service.keys.revoke("root")


def test_only_an_operator_is_led_there(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.open(f"{server.url}/#key={server.key}")
    page.wait_for("document.querySelector('.drop-zone')")
    assert page.evaluate("document.querySelector('#views [href=\"#/operator\"]').checkVisibility()") is False
    page.evaluate("location.hash = '#/operator'")
    assert "scope operator" in page.wait_for("document.querySelector('.note')?.innerText")


def test_maintenance_is_switched(page: Page, server: Server) -> None:
    page.click("#maintenance")
    wait_until(server.service.operations.is_under_maintenance)
    page.wait_for("!document.querySelector('#maintenance').disabled")  # it is, until the reply has come
    page.click("#maintenance")
    wait_until(lambda: not server.service.operations.is_under_maintenance())
    assert page.complaints == []


def test_failures_have_their_reason(page: Page, server: Server) -> None:
    server.fail(hex_id(order(server)), 500, "The <b>song</b> cannot be decoded.")
    page.evaluate(
        "(select => { select.value = 'failed'; select.dispatchEvent(new Event('change')); })"
        "(document.querySelector('[aria-label=State]'))"
    )
    page.wait_for("document.body.innerText.includes('500: The <b>song</b> cannot be decoded.')")
    page.evaluate("document.querySelector('.settings').open = true")
    text = page.wait_for(
        "document.querySelectorAll('.settings tbody tr').length > 30 && document.querySelector('.settings').innerText"
    )
    assert "STEMWRIGHT_WEBHOOK_KEY" in text and "a-secret" not in text


def test_a_model_is_downloaded(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    with small_registry(tmp_path, monkeypatch, MODEL):
        page.click(f"[aria-label^='Download {MODEL}:']")
        wait_until(lambda: weight_store.is_available(registry.find(MODEL)))
        page.wait_for(f"!document.querySelector(\"[aria-label^='Download {MODEL}:']\")")
