"""What OpenAPI declares of all faces holds for requests that are made up from it, right ones and wrong ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation

from stemwright.service.ids import dashed
from tests.api.conftest import Server, starting
from tests.api.native import hex_id, order

Operation = APIOperation[Any, Any, Any, Any]

load_all_checks()
CONFORMS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "ignored_auth",
)
REFUSES_WRONG_ONES = "negative_data_rejection"
FACES = {"ours": ("/v1/",), "crun": ("/api/v1/client/", "/p/"), "files": ("/s/", "/t/", "/u/", "/livez", "/readyz")}
SHORT = {"ours": 3, "crun": 3, "kie": 6, "files": 6}
"""Each face has its own number of operations."""
LONG = 100


@pytest.fixture(scope="module")
def mirroring(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    """A server on which the HTTP status says what kie's code does."""
    with starting(tmp_path_factory.mktemp("mirroring"), mp3) as start:
        yield start(rate_limit="0", mirror_status=True)


@pytest.mark.parametrize("face", ["ours", "crun", "kie", "files"])
def test_answers_are_as_declared(mirroring: Server, face: str) -> None:
    counts = hold_to_schema(mirroring, face, SHORT[face])
    assert sum(counts.values()) > 20
    assert {"ours": {201, 409, 422}, "crun": {200, 422}, "kie": {200, 422}, "files": {200, 404}}[face] <= counts.keys()


@pytest.mark.long
@pytest.mark.parametrize("face", ["ours", "crun", "kie", "files"])
def test_answers_are_as_declared_at_length(mirroring: Server, face: str) -> None:
    hold_to_schema(mirroring, face, LONG)


def hold_to_schema(server: Server, face: str, n_examples: int) -> Counter[int]:
    """Sends so many requests of each kind to each operation of a face; gives how often each status came back."""
    counts: Counter[int] = Counter()
    for operation in operations(server, face):
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            try:
                hold_operation(server, operation, mode, n_examples, counts)
            except Unsatisfiable:
                # Some operations take nothing that can be wrong, and nobody makes up the signature of a link.
                assert mode is GenerationMode.NEGATIVE or operation.path == "/p/{link}", operation.label
    return counts


def hold_operation(
    server: Server, operation: Operation, mode: GenerationMode, n_examples: int, counts: Counter[int]
) -> None:
    @settings(
        max_examples=n_examples,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def hold(case: Case[Any], is_known: bool) -> None:
        if is_known and mode is GenerationMode.POSITIVE:
            name_what_is_there(server, case)
        answer = case.call(headers={"Authorization": f"Bearer {server.key}"}, timeout=240)
        counts[answer.status_code] += 1
        assert answer.status_code not in (500, 502), answer.text
        assert b"Traceback" not in answer.content
        check(case, answer, *CONFORMS)
        # The vendors' faces take blanks for what is missing; all that a form holds is text, a wrong type too.
        if operation.path.startswith(FACES["ours"]) and case.media_type != "multipart/form-data":
            check(case, answer, REFUSES_WRONG_ONES)

    hold()


def check(case: Case[Any], answer: Response, *names: str) -> None:
    case.validate_response(answer, checks=cast("list[CheckFunction]", CHECKS.get_by_names(list(names))))


def operations(server: Server, face: str) -> list[Operation]:
    """The operations of a face."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    others = tuple(start for starts in FACES.values() for start in starts)
    found = [
        operation
        for operation in (result.ok() for result in schema.get_all_operations() if isinstance(result, Ok))
        if (operation.path.startswith(FACES[face]) if face in FACES else not operation.path.startswith(others))
    ]
    assert found
    return found


def name_what_is_there(server: Server, case: Case[Any]) -> None:
    """Puts ids of a song and of a separation in the place of made-up ones."""
    ended = order(server)
    server.succeed(hex_id(ended))
    task = server.task(hex_id(ended))
    stem = task.stems[0]
    known = {
        "link": server.service.links.stem_url(stem, task).partition("/s/")[2],
        "separation_id": ended["id"],
        "track_id": ended["track_id"],
        "task_id": ended["id"],
        "taskId": ended["id"],
        "audioId": dashed(stem.id),
        "suno_id": dashed(stem.id),
    }
    for fields in (case.path_parameters, case.query, case.body, _input_of(case.body)):
        if isinstance(fields, dict):
            fields.update({name: value for name, value in known.items() if name in fields})


def _input_of(body: Any) -> Any:
    return body.get("input") if isinstance(body, dict) else None
