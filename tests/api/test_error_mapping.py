"""Errors as each API answers them: the tables, and the routes that catch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from structlog.testing import capture_logs

from stemwright.api import problems
from stemwright.api.body import BodyError
from stemwright.api.crun import envelope as crun
from stemwright.api.error_mapping import ErrorRule, error_route, map_error
from stemwright.api.kie import envelope as kie
from stemwright.errors import CancelledError, StorageError, UsageError
from stemwright.service import errors
from stemwright.settings import Settings

SETTINGS = Settings.model_validate({"mirror_status": True})
SUNOAPI = Settings.model_validate({"mirror_status": True, "dialect": "sunoapi"})

RESPONSES: dict[str, Callable[[Exception], Response]] = {
    "kie": kie.Envelope(SETTINGS).error,
    "sunoapi": kie.Envelope(SUNOAPI).error,
    "upload": kie.UploadEnvelope(SETTINGS).error,
    "sunoapi upload": kie.UploadEnvelope(SUNOAPI).error,
    "crun": crun.error_response,
    "own": problems.problem_response,
}

CODES: list[tuple[Exception, tuple[int, ...]]] = [
    (errors.InvalidRequest("a", "wrong"), (422, 400, 400, 400, 422, 422)),
    (errors.RecordMissing("wrong"), (422, 400, 422, 400, 422, 422)),
    (errors.InsufficientCredits("wrong"), (402, 429, 402, 429, 402, 402)),
    (errors.RateLimited("wrong", 4.2), (429, 430, 429, 430, 429, 429)),
    (errors.TooManyRunning("wrong"), (429, 405, 429, 405, 429, 429)),
    (errors.NotAuthenticated("wrong"), (401, 401, 401, 401, 401, 401)),
    (errors.NotPermitted("wrong"), (401, 401, 401, 401, 403, 403)),
    (errors.UrlRefused("wrong"), (451, 451, 400, 400, 451, 422)),
    (errors.UnderMaintenance("wrong"), (455, 455, 455, 455, 455, 503)),
    (errors.UpstreamTimeout("wrong"), (408, 408, 408, 408, 408, 504)),
    (BodyError("wrong"), (400, 400, 400, 400, 400, 400)),
    (UsageError("wrong"), (422, 400, 422, 400, 422, 422)),
    (HTTPException(405, "wrong"), (405, 405, 405, 405, 405, 405)),
    (ClientDisconnect(), (400, 400, 400, 400, 400, 400)),
    (StorageError("wrong"), (500, 500, 500, 500, 500, 507)),
    (CancelledError("wrong"), (500, 500, 500, 500, 500, 500)),
    (RuntimeError("wrong"), (500, 500, 500, 500, 500, 500)),
]


@pytest.mark.parametrize(("error", "codes"), CODES, ids=lambda value: type(value).__name__)
def test_each_api_has_a_code_for_each_error(error: Exception, codes: tuple[int, ...]) -> None:
    assert dict(zip(RESPONSES, codes, strict=True)) == {
        name: response(error).status_code for name, response in RESPONSES.items()
    }


@pytest.mark.parametrize("api", RESPONSES)
def test_retry_after_is_rounded_up(api: str) -> None:
    assert RESPONSES[api](errors.RateLimited("wrong", 4.2)).headers["retry-after"] == "5"
    assert RESPONSES[api](errors.TooManyRunning("wrong")).headers["retry-after"] == ("5" if api == "own" else "10")
    assert "retry-after" not in RESPONSES[api](errors.NotFound("wrong")).headers


@pytest.mark.parametrize("api", RESPONSES)
def test_what_is_for_the_operator_is_logged_and_not_sent(api: str, tmp_path: Path) -> None:
    for error in (StorageError(f"{tmp_path} cannot be written"), RuntimeError(f"{tmp_path} is wrong")):
        with capture_logs() as logged:
            body = bytes(RESPONSES[api](error).body)
        assert str(tmp_path) not in body.decode()
        assert str(tmp_path) in str(logged)


@pytest.mark.parametrize("api", RESPONSES)
def test_an_early_end_of_the_connection_is_a_sentence(api: str) -> None:
    said = json.loads(bytes(RESPONSES[api](ClientDisconnect()).body))
    assert "The connection ended before the request did." in said.values()


def test_our_own_api_says_where_the_key_goes_and_which_methods_there_are() -> None:
    assert problems.problem_response(errors.NotAuthenticated("wrong")).headers["www-authenticate"] == "Bearer"
    wrong_method = HTTPException(405, "wrong", {"Allow": "GET"})
    assert problems.problem_response(wrong_method).headers["allow"] == "GET"
    assert crun.error_response(crun.WrongMethod("POST")).headers["allow"] == "POST"


def test_the_rule_of_the_nearest_base_class_counts() -> None:
    table = {Exception: ErrorRule(500), LookupError: ErrorRule(404), KeyError: ErrorRule(410)}
    assert [map_error(error, table).code for error in (KeyError(), IndexError(), ValueError())] == [410, 404, 500]


def test_a_route_answers_what_its_handler_raises() -> None:
    def fail() -> None:
        raise ValueError("out of range")

    app = FastAPI()
    app.router.route_class = error_route(lambda error: Response(str(error), 418))
    app.add_api_route("/", fail)

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/")

    reply = asyncio.run(get())
    assert (reply.status_code, reply.text) == (418, "out of range")
