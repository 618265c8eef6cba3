"""The library of an account: titles, search, order, new names, and what deleting frees."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import OpenServer, Server
from tests.api.native import hex_id, order, problem, upload

TITLES = {"Über den Wolken": 200.0, "apple": 90.0, "Zebra 100%": 30.0, "über_uns": 90.0}


@pytest.fixture(scope="module")
def library(shared: Server) -> Server:
    """Four separations of four songs, in this order."""
    for title, seconds in TITLES.items():
        made = order(shared)
        shared.client.patch(f"/v1/tracks/{made['track_id']}", json={"title": title})
        shared.succeed(hex_id(made), seconds=seconds)
    return shared


def found(server: Server, **query: Any) -> list[str]:
    """Titles, from pages of two."""
    titles: list[str] = []
    params = {"limit": 2, **query}
    while True:
        reply = server.client.get("/v1/separations", params=params)
        assert reply.status_code == 200, reply.text
        titles += [one["title"] for one in reply.json()["separations"]]
        if reply.json()["next"] is None:
            return titles
        assert reply.links["next"]["url"].startswith("/v1/separations?")
        params["after"] = reply.json()["next"]


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("newest", ["über_uns", "Zebra 100%", "apple", "Über den Wolken"]),
        ("oldest", ["Über den Wolken", "apple", "Zebra 100%", "über_uns"]),
        ("title", ["apple", "Zebra 100%", "Über den Wolken", "über_uns"]),
    ],
)
def test_an_order_holds_over_pages(library: Server, order_by: str, expected: list[str]) -> None:
    assert found(library, order=order_by) == expected
    assert found(library, order=order_by, limit=1) == expected


def test_the_longest_song_comes_first(library: Server) -> None:
    titles = found(library, order="longest")
    assert [TITLES[title] for title in titles] == [200.0, 90.0, 90.0, 30.0] and set(titles) == set(TITLES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ÜBER", ["über_uns", "Über den Wolken"]),
        ("%", ["Zebra 100%"]),
        ("_", ["über_uns"]),
        ("wolken", ["Über den Wolken"]),
        ("nothing", []),
        ("", ["über_uns", "Zebra 100%", "apple", "Über den Wolken"]),
    ],
)
def test_titles_are_searched_whatever_their_case(library: Server, text: str, expected: list[str]) -> None:
    assert found(library, title=text) == expected
    assert found(library, title=text, state="failed") == []


def test_another_account_finds_none(library: Server) -> None:
    with library.another() as stranger:
        assert stranger.get("/v1/separations", params={"title": "über"}).json()["separations"] == []


@pytest.mark.parametrize("query", [{"order": "loudest"}, {"title": "x" * 201}])
def test_what_cannot_be_searched_is_said(library: Server, query: dict[str, str]) -> None:
    problem(library.client.get("/v1/separations", params=query), 422, "invalid-request")


def test_a_song_gets_another_title(server: Server) -> None:
    track = upload(server)
    renamed = server.client.patch(f"/v1/tracks/{track['id']}", json={"title": "  <b>Neu</b>  "})
    assert renamed.status_code == 200 and renamed.json() == track | {"title": "<b>Neu</b>"}
    assert server.client.get(f"/v1/tracks/{track['id']}").json() == renamed.json()
    with server.another() as stranger:
        problem(stranger.patch(f"/v1/tracks/{track['id']}", json={"title": "Mine"}), 404, "not-found")


@pytest.mark.parametrize(
    "body", [{}, {"title": ""}, {"title": "  "}, {"title": "x" * 501}, {"title": 1}, {"name": "x"}]
)
def test_a_title_that_is_none_is_refused(shared: Server, body: dict[str, object]) -> None:
    reply = shared.client.patch(f"/v1/tracks/{upload(shared)['id']}", json=body)
    assert problem(reply, 422, "invalid-request")["errors"]


def test_deleting_a_separation_with_its_song_frees_both(open_server: OpenServer) -> None:
    server = open_server(rate_limit="0")

    def used() -> int:
        return int(server.client.get("/v1/account").json()["storage"]["used_bytes"])

    def deleted(made: dict[str, Any], **query: str) -> httpx.Response:
        return server.client.delete(f"/v1/separations/{made['id']}", params=query)

    first = order(server)
    second = server.client.post("/v1/separations", json={"track_id": first["track_id"], "stems": "two"}).json()
    for made in (first, second):
        server.succeed(hex_id(made))
    assert used() == len(server.mp3), "one file, which is the song and all stems here"
    assert deleted(first, with_track="true").status_code == 204
    assert server.client.get(f"/v1/tracks/{first['track_id']}").status_code == 200, "the other one needs it"
    assert deleted(second, with_track="true").status_code == 204
    problem(server.client.get(f"/v1/tracks/{first['track_id']}"), 404, "not-found")
    assert used() == 0
    third = order(server)
    server.succeed(hex_id(third))
    deleted(third)
    assert server.client.get(f"/v1/tracks/{third['track_id']}").status_code == 200
