"""Sessions of browsers over HTTP: the cookie, what it opens, and what other sites cannot do with it."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie

import httpx
import pytest

from tests.api.conftest import OpenServer, Server
from tests.api.native import problem
from tests.waiting import PATIENCE_S

PAGE = {"X-Stemwright-Page": "1"}


@pytest.fixture
def browser(shared: Server) -> Iterator[httpx.Client]:
    """A client that keeps cookies, and has no key."""
    with httpx.Client(base_url=shared.url, headers=PAGE, timeout=PATIENCE_S) as client:
        yield client


def cookie(reply: httpx.Response) -> Morsel[str]:
    (found,) = SimpleCookie(reply.headers["set-cookie"]).values()
    return found


def test_a_key_signs_in_and_out(shared: Server, browser: httpx.Client) -> None:
    problem(browser.get("/v1/account"), 401, "not-authenticated")
    reply = browser.post("/v1/session", json={"key": shared.key})
    assert reply.status_code == 201
    assert reply.json()["account"] == "alice" and shared.key not in reply.text
    set_cookie = cookie(reply)
    assert set_cookie["httponly"] and set_cookie["samesite"] == "strict" and set_cookie["path"] == "/"
    assert not set_cookie["secure"] and 29 * 86400 < int(set_cookie["max-age"]) <= 30 * 86400
    account = browser.get("/v1/account").json()
    assert (account["name"], account["key"]["name"], account["key"]["scopes"]) == ("alice", "alice", ["read", "write"])
    assert shared.key.startswith(account["key"]["hint"]) and account["server_url"] == shared.url
    assert browser.post("/v1/tracks", files={"file": shared.mp3}).status_code == 201
    assert browser.delete("/v1/session").status_code == 204
    assert not browser.cookies
    problem(browser.get("/v1/account"), 401, "not-authenticated")


def test_without_remember_the_cookie_ends_with_the_browser(shared: Server, browser: httpx.Client) -> None:
    assert cookie(browser.post("/v1/session", json={"key": shared.key, "remember": False}))["max-age"] == ""


def test_revoking_the_key_signs_out_everywhere(shared: Server, browser: httpx.Client) -> None:
    key = shared.service.keys.create("laptop").key
    assert browser.post("/v1/session", json={"key": key}).status_code == 201
    with httpx.Client(base_url=shared.url, headers=PAGE) as second:
        assert second.post("/v1/session", json={"key": key}).status_code == 201
        shared.service.keys.revoke("laptop")
        for client in (browser, second):
            problem(client.get("/v1/separations"), 401, "not-authenticated")


def test_other_sites_cannot_use_the_session(shared: Server, browser: httpx.Client) -> None:
    browser.post("/v1/session", json={"key": shared.key})
    token = {name: value for name, value in browser.cookies.items()}  # noqa: C416  # what a browser would attach
    with httpx.Client(base_url=shared.url, cookies=token) as forged:
        assert forged.get("/v1/account").status_code == 200, "a reply that another site's page cannot read"
        for method, path in (
            ("POST", "/v1/tracks"),
            ("POST", "/v1/separations"),
            ("DELETE", "/v1/tracks/0"),
            ("DELETE", "/v1/session"),
            ("POST", "/v1/session"),
        ):
            problem(forged.request(method, path), 403, "not-permitted")
        # The vendors' faces know no sessions at all.
        assert forged.get("/api/v1/chat/credit").json()["code"] == 401
    # A browser asks first whether another site may send the header, and with cookies it may not.
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    allowed = httpx.options(
        f"{shared.url}/v1/tracks", headers=asked | {"Access-Control-Request-Headers": "x-stemwright-page"}
    )
    assert "access-control-allow-credentials" not in allowed.headers


def test_a_key_in_a_header_counts_before_the_session(shared: Server, browser: httpx.Client) -> None:
    browser.post("/v1/session", json={"key": shared.key})
    other = shared.service.keys.create("carol").key
    assert browser.get("/v1/account", headers={"Authorization": f"Bearer {other}"}).json()["name"] == "carol"
    problem(browser.get("/v1/account", headers={"x-api-key": "sw_wrong"}), 401, "not-authenticated")


@pytest.mark.parametrize("body", [{}, {"key": "a", "link": "b"}, {"key": 1}, {"password": "x"}])
def test_a_request_without_a_meaning_is_refused(browser: httpx.Client, body: dict[str, object]) -> None:
    problem(browser.post("/v1/session", json=body), 422, "invalid-request")


@pytest.mark.parametrize(
    ("body", "name"), [({"key": "sw_wrong"}, "not-authenticated"), ({"link": "wrong"}, "link-used")]
)
def test_what_is_wrong_opens_nothing(browser: httpx.Client, body: dict[str, object], name: str) -> None:
    reply = browser.post("/v1/session", json=body)
    problem(reply, 401, name)
    assert "set-cookie" not in reply.headers


def test_over_https_the_cookie_is_never_sent_without(open_server: OpenServer) -> None:
    server = open_server(public_url="https://stems.example.org")
    for host, is_secure in (("stems.example.org", True), ("127.0.0.1", False)):
        reply = httpx.post(
            f"{server.url}/v1/session", json={"key": server.key}, headers=PAGE | {"Host": host}, timeout=PATIENCE_S
        )
        assert bool(cookie(reply)["secure"]) is is_secure


def test_each_server_has_a_cookie_of_its_own(open_server: OpenServer) -> None:
    names = set()
    for _ in range(2):
        server = open_server()
        names.add(cookie(httpx.post(f"{server.url}/v1/session", json={"key": server.key}, headers=PAGE)).key)
    assert len(names) == 2
