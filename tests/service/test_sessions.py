"""Sessions of browsers: they name a key, and nothing that was changed or is over opens one."""

from __future__ import annotations

import pytest

from stemwright.service.errors import NotAuthenticated
from stemwright.service.sessions import SESSION_S, Sessions
from tests.service.conftest import Domain


def test_a_session_is_its_key_until_it_expires(domain: Domain) -> None:
    caller = domain.keys.authenticate(domain.keys.create("alice").key)
    now = 1_000.0
    sessions = Sessions(domain.database, domain.keys, lambda: now)
    opened = sessions.open(caller)
    assert sessions.caller(opened.token) == caller
    assert Sessions(domain.database, domain.keys, lambda: now).caller(opened.token) == caller, "other processes agree"
    now += SESSION_S - 1
    assert sessions.caller(opened.token) == caller
    now += 1
    with pytest.raises(NotAuthenticated):
        sessions.caller(opened.token)


def test_revoking_the_key_ends_all_its_sessions(domain: Domain) -> None:
    sessions = Sessions(domain.database, domain.keys)
    callers = {name: domain.keys.authenticate(domain.keys.create(name).key) for name in ("alice", "bob")}
    tokens = {name: sessions.open(caller).token for name, caller in callers.items()}
    domain.keys.revoke("alice")
    domain.keys.create("alice")  # the name and the account are the same, the key is another
    with pytest.raises(NotAuthenticated):
        sessions.caller(tokens["alice"])
    assert sessions.caller(tokens["bob"]) == callers["bob"]


def test_a_changed_token_is_no_session(domain: Domain) -> None:
    sessions = Sessions(domain.database, domain.keys)
    alice, bob = (domain.keys.authenticate(domain.keys.create(name).key) for name in ("alice", "bob"))
    key_id, expires_at, signature = sessions.open(alice).token.split(".")
    for wrong in (
        "",
        "x",
        f"{bob.key_id}.{expires_at}.{signature}",
        f"{key_id}.{int(expires_at) + 1}.{signature}",
        f"{key_id}.{expires_at}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        f"{key_id}.{expires_at}.{signature}\n",
        f"{key_id}.٣.{signature}",
    ):
        with pytest.raises(NotAuthenticated):
            sessions.caller(wrong)


def test_a_one_time_token_opens_one_session(domain: Domain) -> None:
    sessions = Sessions(domain.database, domain.keys)
    assert sessions.one_time_token("first") is None
    domain.keys.create("first")
    earlier, token = sessions.one_time_token("first"), sessions.one_time_token("first")
    assert earlier is not None and token is not None and earlier != token
    for wrong in (earlier, "", token + "x", "\ud800"):
        with pytest.raises(NotAuthenticated):
            sessions.redeem(wrong)
    assert sessions.redeem(token).caller.key_name == "first"
    with pytest.raises(NotAuthenticated):
        sessions.redeem(token)
    unused = sessions.one_time_token("first")
    assert unused is not None
    domain.keys.revoke("first")
    with pytest.raises(NotAuthenticated):
        sessions.redeem(unused)
