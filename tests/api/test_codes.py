"""The one table of codes in docs/api.md: each of its rows is provoked, and there is no provocation without a row."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from tests.api.codes import PAGE, PROVOCATIONS, Outcome, Row, Stage, rows
from tests.api.conftest import starting
from tests.stand_in import StandIn

for face in ("kie", "kie_uploads", "crun", "native", "files", "quota"):
    importlib.import_module(f"tests.api.codes_{face}")  # notes its provocations


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Stage]:
    with StandIn() as world, starting(tmp_path_factory.mktemp("codes"), mp3) as start:
        yield Stage(start, world)


def test_the_table_has_what_is_provoked_and_nothing_else() -> None:
    assert sorted(row.key for row in rows()) == sorted(PROVOCATIONS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: " - ".join(row.key))
def test_a_row_is_true(stage: Stage, row: Row) -> None:
    provoked = PROVOCATIONS[row.key](stage)
    outcomes = [provoked] if isinstance(provoked, Outcome) else list(provoked)
    assert outcomes
    for found in outcomes:
        assert (found.http, found.code, found.credits) == (row.http, row.code, row.credits), found
        assert row.says(found.msg), found


def test_what_kie_lists_and_a_separation_never_causes_is_named() -> None:
    asked = [row for row in rows() if row.face.startswith("kie") and not row.endpoint.startswith("callback")]
    assert not {row.code for row in asked} & {"433", "501"}
    assert [row.endpoint for row in asked if row.code == "409"] == ["POST wav/generate, POST createTask"]
    named = PAGE.read_text().split("**Codes in the vendor's list that do not occur here.**")[1].split("\n\n")[0]
    assert all(code in named for code in ("409", "433", "501"))
