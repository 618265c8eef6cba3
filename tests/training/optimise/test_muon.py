import pytest
import torch

from training.optimise.muon import ADAM_STEP_RMS, Muon, orthogonal

pytestmark = pytest.mark.training


@pytest.mark.parametrize("shape", [(8, 8), (6, 40), (40, 6), (1, 5)])
def test_all_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    matrix = torch.randn(shape) * 1e-3
    before, after = (torch.linalg.svdvals(each.float()) for each in (matrix, orthogonal(matrix)))
    assert after.min() > 0.4 and after.max() < 1.3
    assert after.max() / after.min() <= before.max() / before.min() + 1e-6


def test_the_directions_of_a_matrix_stay() -> None:
    torch.manual_seed(2)
    matrix = torch.randn(12, 30)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    alike = (orthogonal(matrix).float() * (u @ v)).sum() / 12
    assert alike > 0.8  # of the nearest orthogonal matrix


def test_a_step_is_as_long_as_adams_and_goes_downhill() -> None:
    torch.manual_seed(3)
    weight = torch.nn.Parameter(torch.randn(16, 8, 3, 3))
    target, before = torch.randn_like(weight), weight.detach().clone()
    loss = (weight - target).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    muon = Muon([weight], learning_rate=0.1)
    muon.step()
    step = (weight.detach() - before).square().mean().sqrt()
    assert float(step) == pytest.approx(0.1 * ADAM_STEP_RMS, rel=0.25)
    assert (weight - target).square().mean() < loss


def test_workers_that_share_the_matrices_take_the_same_step() -> None:
    torch.manual_seed(4)
    shapes = [(16, 8, 3, 3), (8, 24), (12, 16, 1, 1)]
    start, gradients = ([torch.randn(shape) for shape in shapes] for _ in range(2))

    def stepped(rank: int, workers: int, steps: list[torch.Tensor]) -> list[torch.Tensor]:
        weights = [torch.nn.Parameter(value.clone()) for value in start]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.clone()

        def all_reduce(vector: torch.Tensor) -> torch.Tensor:
            steps.append(vector)
            return torch.stack(steps).sum(0)

        Muon(weights, 0.1, weight_decay=0.1, rank=rank, workers=workers, all_reduce=all_reduce).step()
        return [weight.detach() for weight in weights]

    alone = stepped(0, 1, [])
    made: list[torch.Tensor] = []
    stepped(0, 2, made)
    together = stepped(1, 2, made)  # with what the first one made
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(alone, together, strict=True))
