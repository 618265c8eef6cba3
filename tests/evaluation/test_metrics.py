"""Every metric against the published package, on small signals; see ``make_metric_goldens``."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.errors import UsageError
from stemwright.evaluation.metric_selection import METRICS, read_metrics
from stemwright.evaluation.metrics.bleedless import RunningBleed, mel_bank
from stemwright.evaluation.metrics.csdr import RunningCsdr, joint_silence, median_db
from stemwright.evaluation.metrics.log_wmse import WeightedEnergy, log_wmse
from stemwright.evaluation.metrics.metric_set import MetricSet
from stemwright.evaluation.metrics.si_sdr import RunningSiSdr
from stemwright.evaluation.sdr import sdr_db
from tests.evaluation.metric_signals import RATE_HZ, Case, cases, silent_reference

GOLDENS: dict[str, Any] = json.loads(Path(__file__).with_name("metric_goldens.json").read_text())
CASES = cases()
BESIDE_SDR = tuple(name for name in METRICS if name != "sdr")

# absolute; the packages calculate in float32, and the weighting of log-WMSE is designed here, not copied
TOLERANCES = {"si_sdr": 0.01, "bleedless": 0.02, "fullness": 0.02, "l1_freq": 1e-3, "log_wmse": 5e-3}


def in_blocks(case: Case, length: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    for start in range(0, case.reference.shape[-1], length):
        stop = start + length
        yield case.reference[:, start:stop], case.estimate[:, start:stop]


def weighted(signal: NDArray[np.float32], rate_hz: int = RATE_HZ, block: int = 50_000) -> WeightedEnergy:
    running = WeightedEnergy(rate_hz)
    for start in range(0, signal.shape[-1], block):
        running.add(signal[:, start : start + block])
    return running


def measured(case: Case, block: int = 1 << 16) -> dict[str, float | None]:
    measures = MetricSet(BESIDE_SDR, RATE_HZ)
    for reference, estimate in in_blocks(case, block):
        measures.add_first_pass(reference, estimate)
    for reference, estimate in in_blocks(case, block):
        measures.add(reference, estimate)
    return dict(measures.close(weighted(case.mix)))


@cache
def measured_once(name: str) -> dict[str, float | None]:
    return measured(CASES[name])


def frames_db(case: Case, block: int = 1 << 16) -> NDArray[np.float64]:
    running = RunningCsdr(RATE_HZ)
    for reference, estimate in in_blocks(case, block):
        running.add(reference, estimate)
    return running.frames_db


@pytest.mark.parametrize("name", CASES)
def test_sdr_is_that_of_msst(name: str) -> None:
    assert sdr_db(CASES[name].reference, CASES[name].estimate) == pytest.approx(GOLDENS[name]["sdr"], abs=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_every_second_of_csdr_is_that_of_museval(name: str) -> None:
    golden = [np.nan if frame is None else frame for frame in GOLDENS[name]["csdr_frames"]]
    np.testing.assert_allclose(frames_db(CASES[name]), golden, atol=1e-6)


def test_csdr_is_the_median_of_the_seconds_that_sound() -> None:
    frames = GOLDENS["silent second"]["csdr_frames"]
    assert frames[1] is None and frames[2] is None
    assert measured(CASES["silent second"])["csdr"] == pytest.approx((frames[0] + frames[3]) / 2, abs=1e-6)
    assert median_db(np.array([np.nan])) is None


def test_stems_scored_together_share_their_silence_as_in_museval() -> None:
    pair = {"vocals": CASES["noisy"], "drums": CASES["silent second"]}
    frames = {name: frames_db(case)[:3] for name, case in pair.items()}
    for name, golden in zip(pair, GOLDENS["together"], strict=True):
        silent = joint_silence(frames, name)
        assert silent is not None
        ours = [None if gone else frame for gone, frame in zip(silent, frames[name], strict=True)]
        assert [frame is None for frame in golden] == [frame is None for frame in ours]
        assert ours[0] == pytest.approx(golden[0], abs=1e-6)


def test_the_instrumental_shares_silence_with_singing_alone() -> None:
    nan = np.nan
    frames = {
        "vocals": np.array([nan, 1.0, 1.0, 1.0]),
        "drums": np.array([1.0, nan, 1.0, 1.0]),
        "instrumental": np.array([1.0, 1.0, nan, 1.0]),
        "bass": np.full(4, nan),  # never plays: museval refuses it, here it silences nothing
    }
    np.testing.assert_array_equal(joint_silence(frames, "instrumental"), [True, False, True, False])
    np.testing.assert_array_equal(joint_silence(frames, "vocals"), [True, True, False, False])


@pytest.mark.parametrize("metric", TOLERANCES)
@pytest.mark.parametrize("name", CASES)
def test_the_others_are_those_of_the_packages(name: str, metric: str) -> None:
    assert measured_once(name)[metric] == pytest.approx(GOLDENS[name][metric], abs=TOLERANCES[metric])


def test_log_wmse_scores_silence() -> None:
    case = silent_reference()
    found = log_wmse(weighted(case.estimate - case.reference), weighted(case.mix))
    assert found == pytest.approx(GOLDENS["silent reference"]["log_wmse"], abs=TOLERANCES["log_wmse"])
    perfect = log_wmse(weighted(case.reference), weighted(case.mix))
    assert perfect == pytest.approx(-4 * np.log(1e-8)) and perfect > found


@pytest.mark.parametrize("block", [1, 1023, 2048, 44_100])
def test_blocks_score_as_the_whole(block: int) -> None:
    case = CASES["silent second"]
    if block == 1:
        case = Case(case.reference[:, :3000], case.estimate[:, :3000], case.mix[:, :3000])
    whole = measured(case, case.reference.shape[-1])
    assert measured(case, block) == {name: pytest.approx(value, rel=1e-6) for name, value in whole.items()}


@pytest.mark.parametrize("length", [1, 2, 1000, 1024, 1025, 3000])
def test_signals_shorter_than_a_frame_are_measured(length: int) -> None:
    case = Case(
        *(signal[:, :length] for signal in (CASES["noisy"].reference, CASES["noisy"].estimate, CASES["noisy"].mix))
    )
    assert all(value is None or np.isfinite(value) for value in measured(case).values())


def test_the_same_signal_is_best() -> None:
    case = CASES["noisy"]
    found = measured(Case(case.reference, case.reference, case.mix))
    assert found == {
        "csdr": 200.0,
        "si_sdr": 200.0,
        "bleedless": 100.0,
        "fullness": 100.0,
        "l1_freq": 100.0,
        "log_wmse": pytest.approx(-4 * np.log(1e-8)),
    }


def test_si_sdr_hides_the_level_and_knows_no_silence() -> None:
    case = CASES["noisy"]
    found = []
    for gain in (1.0, 0.01, -1.0):
        running = RunningSiSdr()
        running.add(case.reference, np.float32(gain) * case.estimate)
        found.append(running.db)
    assert found == [pytest.approx(found[0], abs=1e-3)] * 3
    assert RunningSiSdr().db is None


def test_too_much_lowers_bleedless_alone_and_too_little_fullness_alone() -> None:
    for gain, low, high in ((2.0, "bleedless", "fullness"), (0.5, "fullness", "bleedless")):
        case = CASES["noisy"]
        found = measured(Case(case.reference, np.float32(gain) * case.reference, case.mix))
        assert found[low] == pytest.approx(100 / (1 + 20 * np.log10(2)), abs=1e-3)
        assert found[high] == 100.0


def test_bleed_does_not_depend_on_the_rate_of_a_copy() -> None:
    assert mel_bank(RATE_HZ).shape == mel_bank(48_000).shape == (512, 2049)
    running = RunningBleed(48_000)
    running.add_first_pass(CASES["noisy"].reference, CASES["noisy"].reference)
    running.add(CASES["noisy"].reference, CASES["noisy"].reference)
    assert running.close().bleedless == 100.0


@pytest.mark.parametrize("rate_hz", [22_050, 48_000, 96_000])
def test_log_wmse_weighs_a_tone_the_same_at_every_rate(rate_hz: int) -> None:
    def level_db(hertz: float, rate: int) -> float:
        t = np.arange(rate) / rate
        energies = [
            weighted(np.sin(2 * np.pi * f * t)[None].astype(np.float32), rate).energies[0] for f in (hertz, 1000)
        ]
        return float(10 * np.log10(energies[0] / energies[1]))

    for hertz in (60.0, 500.0, 4000.0, 9000.0):
        assert level_db(hertz, rate_hz) == pytest.approx(level_db(hertz, RATE_HZ), abs=0.1)


def test_metrics_are_read_in_order_and_unknown_ones_told() -> None:
    assert read_metrics("sdr") == ()
    assert read_metrics(" SI-SDR, csdr ") == ("csdr", "si_sdr")
    assert read_metrics("all") == BESIDE_SDR
    for text in ("", "sdr,pesq"):
        with pytest.raises(UsageError, match="Use all, or a list of: sdr, csdr"):
            read_metrics(text)
