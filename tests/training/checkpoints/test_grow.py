from pathlib import Path

import pytest
import torch

from training.checkpoints import grow
from training.checkpoints.checkpoint import Checkpoint
from training.data.cues import CUES
from training.network.designs import build
from training.network.unet import Network, NetworkShape

pytestmark = pytest.mark.training


def trained(design: str) -> tuple[Network, Checkpoint]:
    torch.manual_seed(5)
    network = build(NetworkShape(design=design))
    network.train()(torch.randn(2, 4, 384, 64))  # norms that have seen something
    state = {name: value.clone() for name, value in network.state_dict().items()}
    return network.eval(), Checkpoint(network.shape, state, state, {}, step=7, minutes=2.0, audio_s=60.0)


@pytest.mark.long
def test_a_deeper_network_begins_as_the_shallower_one_and_every_weight_can_learn(tmp_path: Path) -> None:
    network, checkpoint = trained("split")
    checkpoint.save(tmp_path / "checkpoint.pt")
    grow.main([str(tmp_path / "checkpoint.pt"), "--design", "deep-split", "--run", str(tmp_path / "deep")])
    grown = Checkpoint.load(tmp_path / "deep/checkpoint.pt")
    assert (grown.shape.design, grown.step, grown.minutes, grown.audio_s) == ("deep-split", 7, 2.0, 60.0)
    deeper = grown.averaged_network()
    features = torch.randn(1, 4, 384, 64)
    with torch.no_grad():
        assert torch.equal(deeper(features), network(features))
    deeper.train()
    optimiser = torch.optim.SGD(deeper.parameters(), 0.1)
    for _ in range(2):  # what stands before a silent layer learns once that one says something
        optimiser.zero_grad()
        deeper(features).square().mean().backward()
        optimiser.step()
    still = [name for name, value in deeper.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


def test_batch_norms_that_have_measured_one_mix_become_its_instance_norms() -> None:
    torch.manual_seed(6)
    network = build(NetworkShape(design="deep-split"))
    mix = torch.randn(1, 4, 384, 128)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0  # what they hear last is all that they know
        torch.nn.init.normal_(norm.weight, 1, 0.3)
        torch.nn.init.normal_(norm.bias, 0, 0.3)
    with torch.no_grad():
        network.train()(mix)
        state = network.state_dict()
        grown = grow.grow(Checkpoint(network.shape, state, state, {}), "instance-split").averaged_network()
        # The variance that a batch norm keeps is of n - 1 values, here of 384 at least.
        torch.testing.assert_close(grown(mix), network.eval()(mix), atol=0.01, rtol=0)


@pytest.mark.parametrize("cue", [name for name in CUES if name != "none"])
def test_a_network_that_sees_more_begins_with_the_same_output_and_can_learn_from_it(cue: str, tmp_path: Path) -> None:
    network, checkpoint = trained("small-split")
    checkpoint.save(tmp_path / "checkpoint.pt")
    grow.main([str(tmp_path / "checkpoint.pt"), "--cue", cue, "--run", str(tmp_path / "more")])
    grown = Checkpoint.load(tmp_path / "more/checkpoint.pt")
    assert (grown.shape.cue, grown.shape.planes, grown.step) == (cue, 4 + CUES[cue].planes, 7)
    more = grown.averaged_network()
    features = torch.randn(1, grown.shape.planes, 384, 64)
    with torch.no_grad():
        torch.testing.assert_close(more(features), network(features[:, :4]), atol=1e-5, rtol=0)
    more(features).square().mean().backward()
    learns = more.get_parameter("into_low.0.weight").grad
    assert learns is not None and learns[:, 4:].abs().amax((0, 2, 3)).gt(0).all()


def test_a_cue_can_be_taken_away_again(tmp_path: Path) -> None:
    _, checkpoint = trained("small-split")
    grown = grow.with_cue(checkpoint, "phase")
    for state in (grown.network, grown.average):
        state["into_low.0.weight"][:, 4:] = 1.0
    less = grow.with_cue(grown, "none")
    assert less.shape == checkpoint.shape
    features = torch.randn(1, 8, 384, 64)
    features[:, 4:] = 0
    with torch.no_grad():
        seen = grown.averaged_network()(features)
        torch.testing.assert_close(less.averaged_network()(features[:, :4]), seen, atol=1e-5, rtol=0)


def test_what_cannot_see_more_is_told() -> None:
    checkpoint = grow.with_cue(trained("small-split")[1], "phase")
    with pytest.raises(ValueError, match="has a cue already, 'phase'"):
        grow.with_cue(checkpoint, "channels")
    with pytest.raises(ValueError, match="A 'unet' cannot be given other input"):
        grow.with_cue(trained("unet")[1], "phase")


def test_what_cannot_grow_is_told() -> None:
    _, checkpoint = trained("split")
    with pytest.raises(ValueError, match="is a 'split' already"):
        grow.grow(checkpoint, "split")
    _, deep = trained("deep-split")
    with pytest.raises(ValueError, match="'split' has 3 blocks of attention, 'deep-split' 6: no multiple"):
        grow.grow(deep, "split")
    with pytest.raises(ValueError, match="no multiple"):
        grow.grow(checkpoint, "unet")
    _, instance = trained("instance-split")
    with pytest.raises(ValueError, match=r"has no 'into_low\.1\.running_mean'"):
        grow.grow(instance, "deep-split")
    _, small = trained("small-split")
    with pytest.raises(ValueError, match="not of the widths"):
        grow.grow(small, "deep-split")
