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


class House:
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
def house(tmp_path: Path) -> House:
    return House(tmp_path / "data")


def test_time_that_passes_deletes_at_once(house: House) -> None:
    assert house.has_all()
    house.wait(WEEKS_S)
    assert not house.has_all()


@pytest.mark.parametrize("looked_before", [True, False])
def test_a_jump_of_weeks_deletes_nothing_until_it_has_lasted(
    house: House, looked_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert not looked_before or house.has_all()
    house.clock.now += WEEKS_S
    assert house.has_all()
    assert "the clock is 960.0 hours ahead" in caplog.text and "set the clock right" in caplog.text
    for _ in range(int(CONFIRM_AFTER_S / SWEEP_INTERVAL_S) - 1):
        house.wait(SWEEP_INTERVAL_S)
        assert house.has_all()
    house.wait(SWEEP_INTERVAL_S)
    assert not house.has_all(), "the clock is right, and time was wrong before"


def test_a_jump_that_is_put_right_deletes_nothing_ever(house: House) -> None:
    house.clock.now += WEEKS_S
    assert house.has_all()
    house.wait(SWEEP_INTERVAL_S)
    house.clock.now -= WEEKS_S
    for _ in range(12):
        house.wait(SWEEP_INTERVAL_S)
        assert house.has_all()


def test_each_further_jump_begins_the_hour_anew(house: House) -> None:
    for _ in range(10):
        house.clock.now += WEEKS_S
        house.wait(CONFIRM_AFTER_S - 1)
        assert house.has_all()


def test_a_clock_that_goes_back_deletes_nothing_and_may_come_forward_again(house: House) -> None:
    house.clock.now -= WEEKS_S
    assert house.has_all()
    house.clock.now += WEEKS_S
    assert house.has_all()
    house.wait(CONFIRM_AFTER_S)
    assert house.has_all(), "nothing has expired"


@pytest.mark.parametrize("step_s", [JUMP_THRESHOLD_S - 1, -JUMP_THRESHOLD_S])
def test_small_corrections_are_no_jumps(house: House, step_s: float) -> None:
    assert house.has_all()
    house.wait(20 * DAY_S)
    house.clock.now += step_s
    assert not house.has_all()


@pytest.mark.parametrize("swept_before", [True, False])
def test_a_start_weeks_after_the_newest_time_in_the_database_looks_twice(house: House, swept_before: bool) -> None:
    assert not swept_before or house.has_all()
    house.service.close()
    house.wait(WEEKS_S)  # off, or its clock was set: nobody can tell
    house.open()
    assert house.has_all()
    house.wait(CONFIRM_AFTER_S)
    assert not house.has_all()


def test_a_start_soon_after_the_last_sweep_does_not(house: House) -> None:
    house.wait(13 * DAY_S)
    house.service.retention.sweep()
    house.service.close()
    house.wait(DAY_S - 1)
    house.open()
    house.wait(1)
    assert not house.has_all()


def test_a_file_that_is_being_stored_outlasts_a_jump(house: House) -> None:
    with house.service.store.writer() as writer:
        writer.write(b"slow")
        blob = writer.commit()  # its row comes next
    house.clock.now += 2 * CONFIRM_AFTER_S
    assert house.has_all() and house.service.store.exists(blob.digest)
