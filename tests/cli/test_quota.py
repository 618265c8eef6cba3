from __future__ import annotations

import pytest

from tests.cli.conftest import one_error, run

pytestmark = pytest.mark.usefixtures("data")


def test_a_quota_is_shown_and_set() -> None:
    run("keys", "create", "website")
    assert run("quota", "website").out == "The files of website take 0.0 MB; there is no limit.\n"
    assert run("quota", "website", "5000").out == "The files of website take 0.0 MB; the limit is 5000 MB.\n"
    assert run("quota", "website", "--json").objects == [
        {"account": "website", "used_bytes": 0, "limit_bytes": 5_000_000_000}
    ]
    assert "no limit" in run("quota", "website", "--default").out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["nobody"], "nobody"), (["nobody", "5"], "nobody"), (["nobody", "5", "--default"], "not both")],
)
def test_what_makes_no_sense(arguments: list[str], word: str) -> None:
    done = run("quota", *arguments)
    assert done.code == 2
    one_error(done, words=[word])
