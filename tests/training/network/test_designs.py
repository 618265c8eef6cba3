from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stemwright.stems import STEMS
from training.checkpoints import onnx_export
from training.checkpoints.checkpoint import Checkpoint
from training.network.designs import DESIGNS, build
from training.network.ensemble import NetworkEnsemble
from training.network.unet import NetworkShape

pytestmark = pytest.mark.training

SHAPES = [NetworkShape(design=design) for design in DESIGNS if design != "unet"]  # test_network.py has that one


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.design)
def test_every_point_of_every_stem_has_a_logit_and_every_weight_learns(shape: NetworkShape) -> None:
    torch.manual_seed(1)
    network = build(shape)
    logits = network(torch.randn(1, 4, 384, 64))
    assert logits.shape == (1, len(STEMS), 2, 384, 64)
    logits.square().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []
    assert all(any(end is value for value in network.parameters()) for end in network.end_weights())


@pytest.mark.parametrize("design", ["split", "instance-split"])
def test_a_split_design_is_exported_as_it_is(tmp_path: Path, design: str) -> None:
    torch.manual_seed(3)
    network = build(NetworkShape(design=design))
    network.train()(torch.randn(2, 4, 384, 128))  # norms that have seen something
    state = network.state_dict()
    path = tmp_path / "split.onnx"
    assert onnx_export.export([Checkpoint(network.shape, state, state, {})], path) < 1e-5
    exact = onnx_export.MaskModel(NetworkEnsemble([network])).eval()
    assert onnx_export.max_difference(exact, path, frames=256) < 5e-3
    assert path.stat().st_size < 2.2 * sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize(("design", "alike"), [("instance-split", True), ("deep-split", False)])
def test_only_instance_norms_hear_a_mix_by_itself_in_training(design: str, alike: bool) -> None:
    torch.manual_seed(4)
    network = build(NetworkShape(design=design)).train()
    mixes = torch.randn(2, 4, 384, 64) * torch.tensor([1.0, 3.0])[:, None, None, None]
    with torch.no_grad():
        together, alone = network(mixes)[:1], network(mixes[:1])
    assert torch.allclose(together, alone, atol=1e-4) is alike


def test_a_checkpoint_knows_its_design(tmp_path: Path) -> None:
    network = build(NetworkShape(design="split"))
    state = network.state_dict()
    Checkpoint(network.shape, state, state, {}).save(tmp_path / "checkpoint.pt")
    assert type(Checkpoint.load(tmp_path / "checkpoint.pt").averaged_network()) is type(network)
    with pytest.raises(ValueError, match="no design 'cube'; there are unet"):
        build(replace(network.shape, design="cube"))
