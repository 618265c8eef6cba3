import json
from typing import Any

import pytest

from tests.cli.conftest import one_error, run


@pytest.fixture(autouse=True)
def account(data: object) -> str:
    assert run("keys", "create", "website").code == 0
    return "website"


def shown() -> dict[str, Any]:
    done = run("credits", "show", "website", "--json")
    assert done.code == 0
    account: dict[str, Any] = json.loads(done.out)
    return account


def test_an_account_is_metered_from_its_first_grant() -> None:
    assert shown() == {"account": "website", "metered": False, "balance": None, "entries": []}
    assert "not metered" in run("credits", "show", "website").out
    assert run("credits", "grant", "website", "500").out == "website has 500 credits.\n"
    assert (shown()["metered"], shown()["balance"]) == (True, 500)


def test_the_balance_is_the_sum_of_the_entries() -> None:
    run("credits", "grant", "website", "0.1")
    run("credits", "grant", "website", "0.2")
    done = run("credits", "grant", "--json", "website", "--", "-0.05")
    assert done.objects == [{"account": "website", "balance": 0.25}]
    assert [(entry["reason"], entry["amount"]) for entry in shown()["entries"]] == [
        ("grant", 0.1),
        ("grant", 0.2),
        ("grant", -0.05),
    ]
    out = run("credits", "show", "website").out
    assert "+0.1" in out and "-0.05" in out and "website has 0.25 credits." in out


def test_an_account_by_its_id() -> None:
    from stemwright.cli.data_folder import open_data_folder
    from stemwright.service.accounts import Accounts

    with open_data_folder(None) as (_, database):
        found = Accounts(database).find("website")
    assert json.loads(run("credits", "show", found.id, "--json").out)["account"] == "website"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("grant nobody 5", "nobody"),
        ("show nobody", "nobody"),
        ("grant website 0", "other than 0"),
        ("grant website -- -1", "only 0 credits"),
    ],
)
def test_what_cannot_be_done(arguments: str, word: str) -> None:
    done = run("credits", *arguments.split())
    assert done.code == 2
    one_error(done, words=[word])
    assert shown()["entries"] == []


@pytest.mark.parametrize("number", ["nan", "inf", "1e30", "many", ""])
def test_no_number(number: str) -> None:
    done = run("credits", "grant", "website", number)
    assert done.code == 2 and "Traceback" not in done.err
    assert shown()["entries"] == []
