"""What a server says when it starts and another one on the same database has something different."""

from __future__ import annotations

import time

import pytest

from stemwright.service.peer_check import peer_problems, storage_problem, worker_problems
from tests.service.conftest import Domain, OpenDomain, postgresql_only, sqlite_only


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


@postgresql_only
def test_servers_with_different_stores_are_told_apart(open_domain: OpenDomain) -> None:
    first, second, folder = open_domain(storage_url="s3://one/"), open_domain(storage_url="s3://two"), open_domain()
    for domain, named in ((first, None), (first, None), (second, "s3://one"), (folder, "s3://two"), (folder, None)):
        said = peer_problems(domain.database, domain.settings)
        if named is None:
            assert said == []
        else:
            (problem,) = said
            assert f"keeps its files in {named}, this one in " in problem
            assert "give all servers and workers the same STEMWRIGHT_STORAGE_URL" in problem


@postgresql_only
@pytest.mark.parametrize(
    ("servers", "worker", "remedy"),
    [
        ("s3://one", None, "this worker in a folder: set STEMWRIGHT_STORAGE_URL to s3://one here"),
        ("s3://one/", "s3://one/two", "this worker in s3://one/two: set STEMWRIGHT_STORAGE_URL to s3://one here"),
        (None, "s3://one", "in a folder, this worker in s3://one: leave STEMWRIGHT_STORAGE_URL out here"),
        ("s3://one", "s3://one/", None),
        (None, None, None),
    ],
)
def test_a_worker_with_another_store_than_the_servers_is_told_so(
    open_domain: OpenDomain, servers: str | None, worker: str | None, remedy: str | None
) -> None:
    server, domain = open_domain(storage_url=servers), open_domain(storage_url=worker)
    assert storage_problem(domain.database, domain.settings) is None, "no server has started yet"
    peer_problems(server.database, server.settings)
    problem = storage_problem(domain.database, domain.settings)
    assert problem is None if remedy is None else problem is not None and remedy in problem


@sqlite_only
def test_the_one_server_of_a_folder_may_change_its_store(open_domain: OpenDomain) -> None:
    for domain in (open_domain(), open_domain(storage_url="s3://one")):
        assert peer_problems(domain.database, domain.settings) == []
        assert storage_problem(domain.database, domain.settings) is None


@postgresql_only
def test_a_worker_with_another_key_for_callbacks_is_told_so(open_domain: OpenDomain) -> None:
    server, same = open_domain(webhook_key="the secret"), open_domain(webhook_key="the secret")
    none, other = open_domain(), open_domain(webhook_key="another")
    assert worker_problems(other.database, other.settings) == []
    peer_problems(server.database, server.settings)
    assert worker_problems(same.database, same.settings) == worker_problems(none.database, none.settings) == []
    for _ in range(2):  # nothing is kept of a worker's
        (problem,) = worker_problems(other.database, other.settings)
        assert "remove it here, or set theirs" in problem
    assert len(worker_problems(none.database, none.settings, lambda: time.time() + 300)) == 1
