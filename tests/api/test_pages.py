"""Pages for browsers: they lead on, load nothing from another host, and work with a strict policy."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.api.conftest import OpenServer, Server

PAGES = ("/", "/start", "/docs")
POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
}


TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Elements(HTMLParser):
    """What a page loads, where it leads, and what it would run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.inline.append(f"{tag} {name}")
            elif name == "src" or (name == "href" and tag == "link"):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_a_strict_policy_and_nothing_that_it_forbids(shared: Server, path: str) -> None:
    reply = httpx.get(shared.url + path)
    assert reply.status_code == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
    words = [part.split() for part in reply.headers["content-security-policy"].split(";")]
    assert {name: sources for name, *sources in words} == POLICY
    elements = Elements(reply.text)
    assert elements.inline == []
    assert elements.loads
    for address in elements.loads:
        if address == "data:,":
            continue
        parts = urlsplit(address)
        assert not parts.scheme and not parts.netloc and not address.startswith("/"), "a proxy may add a prefix"
        loaded = httpx.get(urljoin(shared.url + path, address))
        assert loaded.status_code == 200 and loaded.headers["x-content-type-options"] == "nosniff"
        assert re.search(r"""(@import|url\(["']?https?:|importScripts)""", loaded.text) is None, address
        assert loaded.headers["content-type"].removesuffix("; charset=utf-8") == TYPES[address.rpartition(".")[2]]


def test_no_other_page_of_fastapi_is_left(shared: Server) -> None:
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert httpx.get(shared.url + path).status_code == 404


def test_the_player_is_small_and_every_module_that_it_imports_is_there(shared: Server) -> None:
    with httpx.Client(base_url=shared.url) as client:
        loaded: dict[str, httpx.Response] = {"": client.get("/")}
        waiting = Elements(loaded[""].text).loads
        while waiting:
            path = waiting.pop()
            if path in loaded:
                continue
            loaded[path] = client.get(f"/{path}")
            assert loaded[path].status_code == 200, path
            if path.endswith(".js"):
                imported = re.findall(r"""(?:from|import\() ?["'](.+?)["']""", loaded[path].text)
                waiting += [urljoin(path, name) for name in imported if name.startswith(".")]
                assert not [name for name in imported if not name.startswith(".")]
        assert sum(path.endswith(".js") for path in loaded) > 15
        sent = sum(int(reply.headers["content-length"]) for reply in loaded.values())
        assert {reply.headers["content-encoding"] for reply in loaded.values()} == {"gzip"}
        assert sent < 100_000
        again = client.get("/web/app/main.js", headers={"If-None-Match": loaded["web/app/main.js"].headers["etag"]})
        assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize(
    ("header", "encoding"),
    [("gzip;q=0", None), ("gzip;q=0.000", None), ("br", None), ("", None), ("GZIP; q=0.5", "gzip")],
)
def test_only_who_takes_gzip_gets_it(shared: Server, header: str, encoding: str | None) -> None:
    reply = httpx.get(f"{shared.url}/web/base.css", headers={"Accept-Encoding": header})
    assert reply.headers.get("content-encoding") == encoding
    assert reply.headers["vary"].startswith("Accept-Encoding") and "--accent" in reply.text


@pytest.mark.parametrize(
    "path", ["/web", "/web/app", "/web/app/none.js", "/web/../settings.py", "/web/app/%2e%2e/start.html"]
)
def test_no_other_file_of_the_package_is_served(shared: Server, path: str) -> None:
    assert httpx.get(shared.url + path).status_code == 404


def test_the_page_for_programmers_leads_on(open_server: OpenServer) -> None:
    server = open_server(public_url="https://stems.example.org/a&b")
    reply = httpx.get(f"{server.url}/start")
    assert "stemwright keys create" in reply.text
    assert "curl https://stems.example.org/a&amp;b/v1/tracks" in reply.text
    links = Elements(reply.text).links
    assert set(links) == {"./", "docs", "openapi.json", "readyz"}
    for link in links:
        assert httpx.get(f"{server.url}/{link}").status_code == 200
    assert httpx.head(f"{server.url}/").status_code == 200


@pytest.mark.long
def test_a_browser_shows_every_endpoint(shared: Server, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    done = subprocess.run(
        [*command, "--virtual-time-budget=60000", "--enable-logging=stderr", "--dump-dom", f"{shared.url}/docs"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    for path in ("/v1/separations", "/api/v1/vocal-removal/generate", "/api/v1/client/job/CreateTask", "/metrics"):
        assert f'data-path="{path}"' in done.stdout
    assert "CONSOLE" not in done.stderr, "what the policy refuses is told there"
