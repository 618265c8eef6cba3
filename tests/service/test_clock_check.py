"""A clock that jumps by weeks deletes nothing in one sweep; time that passes deletes what has expired."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemwright.service.clock_check import CONFIRM_AFTER_S, JUMP_THRESHOLD_S
from stemwright.service.retention import NOTHING_REMOVED, SWEEP_INTERVAL_S
from stemwright.service.service import Service
from stemwright.settings import read_settings
from tests.service.conftest import MovableClock

DAY_S = 86_400.0
WEEKS_S = 40 * DAY_S


class RestartableServer:
    """A service with a song, an upload and a file in the making, which can be closed and opened again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.clock, self.steady = MovableClock(), MovableClock()
        self.open()
        self.account_id = self.service.accounts.create("alice").id
        with self.service.store.writer() as writer:
            writer.write(b"song")
            self.blob = writer.commit()
        self.track = self.service.tracks.add_stored(self.account_id, self.blob, title="song")
        self.service.uploads.add(self.account_id, "a/b.mp3", self.blob, "audio/mpeg")

    def open(self) -> None:
        self.service = Service.open(read_settings(data=self.data), self.clock, self.steady)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.steady.now += seconds

    def has_all(self) -> bool:
        swept = self.service.retention.sweep()
        there = self.service.tracks.get(self.account_id, self.track.id) is not None
        assert there == (swept == NOTHING_REMOVED), swept
        return there


@pytest.fixture
def server(tmp_path: Path) -> RestartableServer:
    return RestartableServer(tmp_path / "data")


def test_time_that_passes_deletes_at_once(server: RestartableServer) -> None:
    assert server.has_all()
    server.wait(WEEKS_S)
    assert not server.has_all()


@pytest.mark.parametrize("looked_before", [True, False])
def test_a_jump_of_weeks_deletes_nothing_until_it_has_lasted(
    server: RestartableServer, looked_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert not looked_before or server.has_all()
    server.clock.now += WEEKS_S
    assert server.has_all()
    assert "the clock is 960.0 hours ahead" in caplog.text and "set the clock right" in caplog.text
    for _ in range(int(CONFIRM_AFTER_S / SWEEP_INTERVAL_S) - 1):
        server.wait(SWEEP_INTERVAL_S)
        assert server.has_all()
    server.wait(SWEEP_INTERVAL_S)
    assert not server.has_all(), "the clock is right, and time was wrong before"


def test_a_jump_that_is_put_right_deletes_nothing_ever(server: RestartableServer) -> None:
    server.clock.now += WEEKS_S
    assert server.has_all()
    server.wait(SWEEP_INTERVAL_S)
    server.clock.now -= WEEKS_S
    for _ in range(12):
        server.wait(SWEEP_INTERVAL_S)
        assert server.has_all()


def test_each_further_jump_begins_the_hour_anew(server: RestartableServer) -> None:
    for _ in range(10):
        server.clock.now += WEEKS_S
        server.wait(CONFIRM_AFTER_S - 1)
        assert server.has_all()


def test_a_clock_that_goes_back_deletes_nothing_and_may_come_forward_again(server: RestartableServer) -> None:
    server.clock.now -= WEEKS_S
    assert server.has_all()
    server.clock.now += WEEKS_S
    assert server.has_all()
    server.wait(CONFIRM_AFTER_S)
    assert server.has_all(), "nothing has expired"


@pytest.mark.parametrize("step_s", [JUMP_THRESHOLD_S - 1, -JUMP_THRESHOLD_S])
def test_small_corrections_are_no_jumps(server: RestartableServer, step_s: float) -> None:
    assert server.has_all()
    server.wait(20 * DAY_S)
    server.clock.now += step_s
    assert not server.has_all()


@pytest.mark.parametrize("swept_before", [True, False])
def test_a_start_weeks_after_the_newest_time_in_the_database_looks_twice(
    server: RestartableServer, swept_before: bool
) -> None:
    assert not swept_before or server.has_all()
    server.service.close()
    server.wait(WEEKS_S)  # off, or its clock was set: nobody can tell
    server.open()
    assert server.has_all()
    server.wait(CONFIRM_AFTER_S)
    assert not server.has_all()


def test_a_start_soon_after_the_last_sweep_does_not(server: RestartableServer) -> None:
    server.wait(13 * DAY_S)
    server.service.retention.sweep()
    server.service.close()
    server.wait(DAY_S - 1)
    server.open()
    server.wait(1)
    assert not server.has_all()


def test_a_file_that_is_being_stored_outlasts_a_jump(server: RestartableServer) -> None:
    with server.service.store.writer() as writer:
        writer.write(b"slow")
        blob = writer.commit()  # its row comes next
    server.clock.now += 2 * CONFIRM_AFTER_S
    assert server.has_all() and server.service.store.exists(blob.digest)
