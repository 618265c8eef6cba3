"""What a server says when it starts and another one on the same database has something different."""

from __future__ import annotations

import time

import pytest

from stemwright.service.peer_check import peer_problems
from tests.service.conftest import Domain, OpenDomain, postgresql_only


@postgresql_only
@pytest.mark.parametrize(("ahead_s", "said"), [(300, "300 s ahead of"), (-4000, "4000 s behind"), (20, None)])
def test_a_clock_that_is_off_is_said(domain: Domain, ahead_s: float, said: str | None) -> None:
    problems = peer_problems(domain.database, domain.settings, lambda: time.time() + ahead_s)
    if said is None:
        assert problems == []
    else:
        (problem,) = problems
        assert "synchronise both with NTP" in problem
        seconds = float(problem.split(" s ")[0].rpartition(" ")[2])
        assert said.split(" s ")[1] in problem and abs(seconds - abs(ahead_s)) < 60


def test_servers_with_different_keys_for_callbacks_are_told_apart(open_domain: OpenDomain) -> None:
    first, second, none = open_domain(webhook_key="the secret"), open_domain(webhook_key="another"), open_domain()
    for domain, problems in ((first, 0), (first, 0), (second, 1), (second, 0), (none, 1), (none, 0)):
        said = peer_problems(domain.database, domain.settings)
        assert len(said) == problems
        assert all("give all servers the same" in problem and "the secret" not in problem for problem in said)
