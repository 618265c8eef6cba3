import argparse
from dataclasses import replace

import pytest
import torch

from stemwright.models.bands import BANDS_384
from stemwright.stems import STEMS
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.inference import build_ensemble
from training.network import logit_bias
from training.network.logit_bias import LogitBias
from training.network.unet import NetworkShape, UNet

pytestmark = pytest.mark.training

TINY = replace(NetworkShape(), widths=(8, 8, 8, 8, 8, 8))


def change(bias: LogitBias) -> torch.Tensor:
    """What a bias adds to the log of each mask over that of the bass: ``(stems, channels, bands, frames)``."""
    torch.manual_seed(5)
    network = UNet(TINY)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)  # zeros at the start hide what stands before them
    state = network.state_dict()
    checkpoint = Checkpoint(TINY, state, state, {})
    seen = torch.randn(1, 4, 384, 64)
    with torch.no_grad():
        before, after = (build_ensemble([checkpoint], one)(seen)[0].log_softmax(0) for one in (None, bias))
    changed: torch.Tensor = after - before
    return changed - changed[STEMS.index("bass")]


def test_a_bias_changes_the_odds_of_its_stem_alone() -> None:
    wanted = {"fx": -2.0, "vocals": -0.5}
    for stem, odds in zip(STEMS, change(LogitBias({"fx": -2.0, "vocals": -0.5})), strict=True):
        torch.testing.assert_close(odds, torch.full_like(odds, wanted.get(stem, 0.0)), rtol=1e-4, atol=1e-4)


def test_a_low_cut_lowers_a_stem_with_each_octave_below_it_and_leaves_it_above() -> None:
    odds = change(LogitBias(low_cut_hz={"vocals": 150.0}))
    hz = logit_bias.band_centres_hz()
    fallen = -logit_bias.LOW_CUT_NATS_PER_OCTAVE * torch.log2(150 / hz).clamp_min(0)
    wanted = fallen[None, :, None].expand_as(odds[0])
    torch.testing.assert_close(odds[STEMS.index("vocals")], wanted, rtol=1e-4, atol=1e-4)
    assert float(wanted[:, hz > 150].abs().max()) == 0 and float(wanted[0, 7, 0]) == pytest.approx(-3.97, abs=0.05)
    assert float(odds[STEMS.index("guitar")].abs().max()) < 1e-4


def test_the_centres_of_bands_are_the_means_of_their_bins() -> None:
    band = torch.from_numpy(BANDS_384.band_of_bins(BANDS_384.n_fft, BANDS_384.sample_rate))[:-1]  # without Nyquist's
    hz = torch.arange(len(band)) * (BANDS_384.sample_rate / BANDS_384.n_fft)
    means = torch.zeros(BANDS_384.n_bands).index_add(0, band, hz.float()) / torch.from_numpy(BANDS_384.widths)
    torch.testing.assert_close(logit_bias.band_centres_hz()[1:], means[1:])
    assert 0 < float(logit_bias.band_centres_hz()[0]) < float(means[1])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(exit_on_error=False)
    logit_bias.add_arguments(made)
    return made


def test_biases_are_read_from_a_command_line() -> None:
    options = parser().parse_args(["--logit-bias", "fx=-1.5", "--logit-bias", "vocals=0.25", "--low-cut", "vocals=150"])
    assert logit_bias.from_options(options) == LogitBias({"fx": -1.5, "vocals": 0.25}, {"vocals": 150.0})
    assert logit_bias.from_options(parser().parse_args([])) == LogitBias()


def test_the_old_names_of_the_options_still_work() -> None:
    options = parser().parse_args(["--rarer", "fx=1.5", "--logit-bias", "vocals=-0.25", "--lowest", "vocals=150"])
    assert logit_bias.from_options(options) == LogitBias({"fx": -1.5, "vocals": -0.25}, {"vocals": 150.0})
    assert "rarer" not in parser().format_help() and "lowest" not in parser().format_help()


@pytest.mark.parametrize("option", ["--logit-bias", "--rarer", "--low-cut", "--lowest"])
@pytest.mark.parametrize("text", ["fx", "cowbell=1", "fx=much", "fx=nan", "fx=inf"])
def test_a_value_that_makes_no_sense_is_refused(option: str, text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=text):
        parser().parse_args([option, text])


@pytest.mark.parametrize("option", ["--rarer", "--low-cut", "--lowest"])
@pytest.mark.parametrize("text", ["fx=0", "fx=-3"])
def test_a_value_that_must_be_positive_is_refused_otherwise(option: str, text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=f"'{text}': after the '=' comes a number above zero"):
        parser().parse_args([option, text])


def test_metadata_has_the_keys_of_files_that_exist() -> None:
    stored = {"rarer_nats": {"vocals": 0.75, "fx": 2.0}, "lowest_hz": {"vocals": 150.0}}
    bias = LogitBias.from_metadata(stored)
    assert bias == LogitBias({"vocals": -0.75, "fx": -2.0}, {"vocals": 150.0})
    assert bias.metadata() == stored
    assert LogitBias.from_metadata({}) == LogitBias()
