import argparse
from dataclasses import replace

import pytest
import torch

from stemwright.models.bands import BANDS_384
from stemwright.stems import STEMS
from training.checkpoints.checkpoint import Checkpoint
from training.network import priors
from training.network.ensemble import assemble
from training.network.priors import Priors
from training.network.unet import MaskNetwork, NetworkShape

pytestmark = pytest.mark.training

TINY = replace(NetworkShape(), widths=(8, 8, 8, 8, 8, 8))


def change(known: Priors) -> torch.Tensor:
    """What is known, in the logarithm of each stem's mask by that of the bass: ``(stems, channels, bands, frames)``."""
    torch.manual_seed(5)
    network = MaskNetwork(TINY)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)  # zeros at the start hide what stands before them
    state = network.state_dict()
    checkpoint = Checkpoint(TINY, state, state, {})
    seen = torch.randn(1, 4, 384, 64)
    with torch.no_grad():
        before, after = (assemble([checkpoint], one)(seen)[0].log_softmax(0) for one in (None, known))
    changed: torch.Tensor = after - before
    return changed - changed[STEMS.index("bass")]


def test_a_rarer_stem_has_lower_odds_against_each_other_one_and_they_keep_theirs() -> None:
    wanted = {"fx": -2.0, "vocals": -0.5}
    for stem, odds in zip(STEMS, change(Priors({"fx": 2.0, "vocals": 0.5})), strict=True):
        torch.testing.assert_close(odds, torch.full_like(odds, wanted.get(stem, 0.0)), rtol=1e-4, atol=1e-4)


def test_below_its_lowest_frequency_a_stem_is_rarer_with_each_octave_and_above_as_it_was() -> None:
    odds = change(Priors(lowest_hz={"vocals": 150.0}))
    hz = priors.centres_hz()
    fallen = -priors.FALL_NATS * torch.log2(150 / hz).clamp_min(0)
    wanted = fallen[None, :, None].expand_as(odds[0])
    torch.testing.assert_close(odds[STEMS.index("vocals")], wanted, rtol=1e-4, atol=1e-4)
    assert float(wanted[:, hz > 150].abs().max()) == 0 and float(wanted[0, 7, 0]) == pytest.approx(-3.97, abs=0.05)
    assert float(odds[STEMS.index("guitar")].abs().max()) < 1e-4


def test_the_middles_of_bands_are_the_means_of_their_bins() -> None:
    band = torch.from_numpy(BANDS_384.band_of_bins(BANDS_384.n_fft, BANDS_384.sample_rate))[:-1]  # without Nyquist's
    hz = torch.arange(len(band)) * (BANDS_384.sample_rate / BANDS_384.n_fft)
    means = torch.zeros(BANDS_384.n_bands).index_add(0, band, hz.float()) / torch.from_numpy(BANDS_384.widths)
    torch.testing.assert_close(priors.centres_hz()[1:], means[1:])
    assert 0 < float(priors.centres_hz()[0]) < float(means[1])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(exit_on_error=False)
    priors.add_arguments(made)
    return made


def test_priors_are_read_from_a_command_line() -> None:
    options = parser().parse_args(["--rarer", "fx=1.5", "--rarer", "vocals=0.25", "--lowest", "vocals=150"])
    assert priors.read(options) == Priors({"fx": 1.5, "vocals": 0.25}, {"vocals": 150.0})
    assert priors.read(parser().parse_args([])) == Priors()


@pytest.mark.parametrize("option", ["--rarer", "--lowest"])
@pytest.mark.parametrize("text", ["fx", "cowbell=1", "fx=much", "fx=0", "fx=-3", "fx=nan", "fx=inf"])
def test_a_prior_that_makes_no_sense_is_refused(option: str, text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=text.split("=")[-1]):
        parser().parse_args([option, text])
