"""Where a key may stand: every face takes it in each of these places."""

from __future__ import annotations

import httpx
import pytest

from tests.api.conftest import Server

FACES = {
    "kie": "/api/v1/chat/credit",
    "crun": "/api/v1/client/account/balance",
    "own": "/v1/credits",
}


def code(server: Server, path: str, headers: dict[str, str]) -> int:
    reply = httpx.get(server.url + path, headers=headers)
    return int(reply.json().get("code", reply.status_code))


@pytest.mark.parametrize("path", FACES.values(), ids=FACES)
def test_the_key_is_found(shared: Server, path: str) -> None:
    key = shared.key
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer   {key}"},
        {"Authorization": key},
        {"x-api-key": key},
        {"x-api-key": f"Bearer {key}"},
        {"x-api-key": key, "Authorization": "of-a-proxy"},
        {"x-api-key": key, "Authorization": "Basic eA=="},
    ):
        assert code(shared, path, headers) == 200, headers


@pytest.mark.parametrize("path", FACES.values(), ids=FACES)
def test_what_is_no_key(shared: Server, path: str) -> None:
    key = shared.key
    for headers in (
        {"Authorization": "Bearer"},
        {"Authorization": "bearer"},
        {"Authorization": f"Basic {key}"},
        {"Authorization": f"{key} {key}"},
        {"Authorization": key[:-1]},
        {"Authorization": f"Bearer {key[:-1]}", "x-api-key": key},
    ):
        assert code(shared, path, headers) == 401, headers
