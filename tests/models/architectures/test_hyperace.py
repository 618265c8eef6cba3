from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from stemwright.models.architectures.bs_roformer import (
    BSRoformer,
    BSRoformerOptions,
    MaskEstimator,
    SegmentedMaskEstimator,
)
from stemwright.models.architectures.hyperace import SegmentationHead
from tests.models.architectures.filling import fill
from tests.models.architectures.make_hyperace_golden import BANDS, BINS, DIM, EVERY, OUTPUTS, tokens

WIDTHS = (4, 8, 8, 16, 16, 32, 64, 112)  # per band: bins x channels x 2, of 65 bins


@pytest.fixture(scope="module")
def estimator() -> SegmentedMaskEstimator:
    with torch.device("meta"):
        made = SegmentedMaskEstimator(DIM, WIDTHS, 2, 2, channels=2)
    shapes = {key: tuple(tensor.shape) for key, tensor in made.state_dict().items()}
    assert sum(WIDTHS) == BINS * OUTPUTS
    weights = {key: torch.from_numpy(fill(key.removeprefix("segm."), shape)) for key, shape in shapes.items()}
    made.load_state_dict(weights, assign=True)
    return made.eval()


def test_gives_what_the_reference_gives(estimator: SegmentedMaskEstimator) -> None:
    golden = np.load(Path(__file__).with_name("golden") / "hyperace.npz")["output"]
    with torch.inference_mode():
        head = copy.deepcopy(estimator.segm).double()  # where rounding does not hide a mistake
        mask = head(torch.from_numpy(tokens())).numpy()[::EVERY]
    assert mask.shape == golden.shape and np.abs(golden).max() > 0.5
    np.testing.assert_allclose(mask, golden, atol=1e-6)


def test_its_mask_is_added_to_that_of_the_bands(estimator: SegmentedMaskEstimator) -> None:
    x = torch.from_numpy(tokens())
    with torch.inference_mode():
        both, bands = estimator(x), MaskEstimator.forward(estimator, x)
        torch.testing.assert_close(both, bands + estimator.segm(x))
    assert both.shape == (len(x), sum(WIDTHS))


def test_autocast_leaves_it_in_float32(estimator: SegmentedMaskEstimator) -> None:
    x = torch.from_numpy(tokens()).bfloat16()
    with torch.inference_mode():
        exact = estimator.segm(x.float())
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(estimator.segm(x), exact)
            assert estimator(x).dtype == torch.float32


def test_names_and_number_of_the_weights_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        plain = BSRoformer(BSRoformerOptions(256, 12, True, 1, 1, 1))
        network = BSRoformer(BSRoformerOptions(256, 12, True, 1, 1, 1, hyperace=True))
    added = {key: tensor for key, tensor in network.state_dict().items() if key not in plain.state_dict()}
    assert all(key.startswith("mask_estimators.0.segm.") for key in added)
    head = "mask_estimators.0.segm."
    assert added[head + "backbone.p4.1.m.m.3.dsconv2.pwconv.weight"].shape == (256, 256, 1, 1)
    assert added[head + "hyperace.high_order_branch.1.ahc.adaptive_hyperedge_gen.global_proto"].shape == (32, 256)
    assert added[head + "decoder.up_d5.m.cv3.bn.bias"].shape == (256,)
    assert added[head + "upsample_head.block4.out_conv.blocks.1.tdf.2.weight"].shape == (992 // 4, 992)
    # bs_roformer_voc_hyperacev2.ckpt less bs_roformer_ft1_anvuew_sdr_12.55.ckpt, and 550 bytes about each tensor
    n_numbers = sum(tensor.numel() for tensor in added.values())
    assert 4 * n_numbers + 550 * len(added) == pytest.approx(288_724_430 - 204_493_312, rel=1e-4)


def test_any_number_of_frames_is_taken(estimator: SegmentedMaskEstimator) -> None:
    head: SegmentationHead = estimator.segm
    for frames in (65, 66, 79):
        with torch.inference_mode():
            assert head(torch.zeros(frames, BANDS, DIM)).shape == (frames, BINS * OUTPUTS)
