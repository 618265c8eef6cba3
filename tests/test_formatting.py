import pytest

from stemwright.formatting import clock, decibels, megabytes, printable, speed


@pytest.mark.parametrize("seconds, said", [(0, "0:00"), (59.6, "1:00"), (185, "3:05"), (3723, "1:02:03")])
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said


@pytest.mark.parametrize("factor, said", [(17.84, "17.8"), (1, "1.0"), (0.74, "0.74"), (0.0132, "0.013")])
def test_speed(factor: float, said: str) -> None:
    assert speed(factor) == f"{said} x real time"


@pytest.mark.parametrize("value, said", [(None, "–"), (-0.04, "0.0"), (-12.34, "-12.3"), (200.0, "200.0")])
def test_decibels(value: float | None, said: str) -> None:
    assert decibels(value) == said


@pytest.mark.parametrize("n_bytes, said", [(0, "0.0 MB"), (12_340_000, "12.3 MB"), (2_000_000_000, "2.0 GB")])
def test_megabytes(n_bytes: int, said: str) -> None:
    assert megabytes(n_bytes) == said


def test_printable_is_one_line_without_commands() -> None:
    assert printable("a\x1b[31m\nb\u2028\udcff🎵") == "a_[31m_b__🎵"
