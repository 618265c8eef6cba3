from dataclasses import replace

import pytest
import torch

from training.checkpoints.average import average, recompute_batch_norms
from training.checkpoints.checkpoint import Checkpoint
from training.network.unet import NetworkShape, UNet

pytestmark = pytest.mark.training

TINY = replace(NetworkShape(), widths=(8, 8, 8, 8, 8, 8))


def checkpoint(seed: int, step: int = 0, minutes: float = 0.0, audio_s: float = 0.0) -> Checkpoint:
    torch.manual_seed(seed)
    state = UNet(TINY).state_dict()
    return Checkpoint(TINY, state, state, {}, step, minutes, audio_s)


def test_weights_are_averaged_and_what_is_shared_counts_once() -> None:
    one, other = checkpoint(1, 30, 3.0, 300.0), checkpoint(2, 50, 5.0, 500.0)
    made = average([one, other], [1, 3], ancestor=checkpoint(3, 20, 2.0, 200.0))
    for name, value in made.average.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, one.average[name] / 4 + other.average[name] * 3 / 4)
    assert (made.step, made.minutes, made.audio_s) == (60, 6.0, 600.0)
    assert average([one, other], [1, 1]).step == 80


def test_norms_measure_what_they_are_given() -> None:
    made = average([checkpoint(1), checkpoint(2)], [0.5, 0.5])
    seen = torch.randn(4, 4, 384, 128, generator=torch.Generator().manual_seed(4))
    network = recompute_batch_norms(made, [seen, seen]).averaged_network()
    trained = UNet(TINY)
    trained.load_state_dict(made.average)
    with torch.no_grad():
        wanted, before = trained.train()(seen), made.averaged_network()(seen)
        after = network(seen)
    # In training, norms use what is in the batch: the very statistics that were measured.
    assert float((after - wanted).abs().mean()) < 0.05 * float((before - wanted).abs().mean())


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_weights_that_give_no_average_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight of zero or more"):
        average([checkpoint(1), checkpoint(2)], weights)


def test_networks_of_two_shapes_are_refused() -> None:
    wide = replace(TINY, widths=(16, 8, 8, 8, 8, 8))
    state = UNet(wide).state_dict()
    with pytest.raises(ValueError, match="different shapes"):
        average([checkpoint(1), Checkpoint(wide, state, state, {})], [1, 1])
