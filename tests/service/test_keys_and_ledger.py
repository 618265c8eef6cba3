from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy

from stemwright.service.errors import Conflict, InvalidRequest, NotAuthenticated, NotFound, NotPermitted
from tests.service.conftest import Domain, sqlite_only


def test_a_wrong_key_takes_the_same_work_whatever_is_wrong_with_it(domain: Domain) -> None:
    key = domain.keys.create("alice").key
    revoked = domain.keys.create("gone").key
    domain.keys.revoke("gone")
    work: list[tuple[str, int]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        assert key not in parameters and not any(str(value).startswith("sw_") for value in parameters)
        work.append((statement, len(parameters)))

    guesses = [
        revoked,
        "",
        "x",
        key[:-1],
        key + "x",
        key[:-1] + "\u00e9",
        key[:20] + "x" * 23,
        "sw_" + "x" * 40,
        "k" * 8000,
    ]
    seen = []
    sqlalchemy.event.listen(domain.database.engine, "before_cursor_execute", note)
    for guess in guesses[:1] + guesses[2:]:
        work.clear()
        with pytest.raises(NotAuthenticated):
            domain.keys.authenticate(guess)
        seen.append(list(work))
    work.clear()
    domain.keys.authenticate(key)
    assert all(one == work for one in seen) and sum("api_keys" in statement for statement, _ in work) == 1


def test_a_key_opens_its_account_until_it_is_revoked(domain: Domain) -> None:
    made = domain.keys.create("web")
    caller = domain.keys.authenticate(made.key)
    assert (caller.account_name, caller.scopes, caller.metered) == ("web", ("read", "write"), False)
    domain.keys.revoke("web")
    with pytest.raises(NotAuthenticated):
        domain.keys.authenticate(made.key)
    with pytest.raises(NotFound):
        domain.keys.revoke("web")
    again = domain.keys.create("web")  # the name is free, the account the same
    assert domain.keys.authenticate(again.key).account_id == caller.account_id


def test_a_key_of_cruns_form_is_one_that_its_command_line_sends(domain: Domain) -> None:
    key = domain.keys.create("agent", form="crun").key
    assert key.startswith("ak_") and len(key) == 35
    assert domain.keys.authenticate(key).account_name == "agent"
    assert domain.keys.all()[0].hint == key[:7]


@pytest.mark.parametrize("key", [None, "", "sw_", "sw_" + "a" * 40, "\ud800", "x" * 100_000])
def test_any_other_key_opens_nothing(domain: Domain, key: str | None) -> None:
    domain.keys.create("web")
    with pytest.raises(NotAuthenticated):
        domain.keys.authenticate(key)


@sqlite_only
def test_the_key_itself_is_stored_nowhere(domain: Domain) -> None:
    made = domain.keys.create("web")
    connection = sqlite3.connect(domain.settings.data / "stemwright.db")
    dump = "\n".join(connection.iterdump())
    connection.close()
    assert made.key not in dump
    assert "web" in dump


def test_keys_share_an_account_and_differ_in_scope(domain: Domain) -> None:
    first = domain.keys.authenticate(domain.keys.create("web").key)
    second = domain.keys.authenticate(domain.keys.create("reader", account="web", scopes=("read",)).key)
    assert first.account_id == second.account_id
    second.require("read")
    with pytest.raises(NotPermitted):
        second.require("write")


def test_keys_that_make_no_sense_are_refused(domain: Domain) -> None:
    domain.keys.create("web")
    with pytest.raises(Conflict):
        domain.keys.create("web")
    with pytest.raises(NotFound):
        domain.keys.create("phone", account="nobody")
    for wrong in ({"scopes": ("all",)}, {"scopes": ()}, {"rate_limit": "fast"}, {"credits_hundredths": -1}):
        with pytest.raises(InvalidRequest):
            domain.keys.create("phone", **wrong)
    with pytest.raises(InvalidRequest):
        domain.keys.create(" ")
    assert [key.name for key in domain.keys.all()] == ["web"]


def test_credits_are_metered_from_the_first_grant_on(domain: Domain) -> None:
    caller = domain.caller("web")
    assert domain.ledger.balance(caller.account_id) is None
    assert domain.ledger.grant("web", 5000) == 5000
    assert domain.ledger.grant(caller.account_id, -1000) == 4000
    assert domain.ledger.balance(caller.account_id) == 4000
    for name, amount, kind in (("web", 0, InvalidRequest), ("web", -4001, InvalidRequest), ("nobody", 1, NotFound)):
        with pytest.raises(kind):
            domain.ledger.grant(name, amount)
    assert [entry.amount for entry in domain.ledger.entries(caller.account_id)] == [5000, -1000]
    assert domain.ledger.imbalance() == {}
