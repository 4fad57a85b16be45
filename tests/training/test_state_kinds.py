"""Classes of state: what is trained, frozen, projected, a statistic, a random stream; each follows its own rule."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from composer.networks.initialize import draw, draw_buffers
from composer.networks.initializers import Orthogonal
from composer.networks.modules.noise import uniform
from composer.networks.modules.projection import to_unit_norm
from composer.networks.outline import BufferPlan, Outline, ParameterPlan
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.spec.random_streams import derive

WIDTH = 4


class Probe(nn.Module):
    """Holds one of each: a projected and a frozen weight, a statistic, a random stream."""

    mean: Tensor
    key: Tensor
    draws: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.sphere, self.frozen = nn.Parameter(torch.empty(WIDTH, WIDTH)), nn.Parameter(torch.empty(WIDTH, WIDTH))
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("key", torch.zeros((), dtype=torch.int64))
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        y = (x - self.mean) @ self.sphere.mT @ self.frozen.mT
        if self.training:
            self.mean.mul_(0.5).add_(0.5 * x.detach().mean(0))
            y = y * (uniform(self.key, self.draws, tuple(y.shape)) < 0.5)
            self.draws.add_(1)
        return y


PLANS = {
    "sphere": ParameterPlan((WIDTH, WIDTH), Orthogonal(gain=3.0), WIDTH, WIDTH, unit_axis=1),
    "frozen": ParameterPlan((WIDTH, WIDTH), Orthogonal(), WIDTH, WIDTH, trainable=False),
}
BUFFERS = {"mean": BufferPlan("statistic", (WIDTH,)), "key": BufferPlan("key"), "draws": BufferPlan("counter")}
OUTLINE = Outline("probe", (WIDTH,), (WIDTH,), PLANS, buffers=BUFFERS)


def stacked(seeds: tuple[int, ...], copies: int) -> Stacked:
    parameters = fresh_stack(OUTLINE, seeds, copies, "init")
    return Stacked(Template(Probe), parameters, fresh_buffers(OUTLINE, seeds, copies, "init"))


def test_a_draw_is_projected_and_a_frozen_one_takes_no_gradient() -> None:
    drawn = draw(OUTLINE, lambda path: derive(0, path))
    torch.testing.assert_close(drawn["sphere"].norm(dim=1), torch.ones(WIDTH))
    stack = fresh_stack(OUTLINE, (0, 1), 2, "init")
    assert [value.requires_grad for value in stack.values()] == [True, False]
    assert OUTLINE.count() == 2 * OUTLINE.count(trainable_only=True) == 32


def test_projection_leaves_zeros_and_keeps_directions() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-5.0, 0.0]])
    torch.testing.assert_close(to_unit_norm(weight, 1), torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]))
    torch.testing.assert_close(to_unit_norm(weight, 0).norm(dim=0), torch.ones(2))


def test_buffers_start_as_declared_with_a_key_of_their_own() -> None:
    first, second = (draw_buffers(OUTLINE, lambda path, s=seed: derive(s, path)) for seed in (0, 1))  # type: ignore[misc]
    assert first["key"].item() == derive(0, "key") != second["key"].item()
    assert first["draws"].item() == 0 and not first["mean"].any()


@pytest.mark.parametrize(("seeds", "copies"), [((0,), 1), ((0,), 2), ((0, 1), 1), ((0, 1), 3)])
def test_members_keep_their_own_statistics_and_streams(seeds: tuple[int, ...], copies: int) -> None:
    network = stacked(seeds, copies)
    x = torch.randn(len(seeds), 64, WIDTH, generator=torch.Generator().manual_seed(0))
    addresses = {path: value.data_ptr() for path, value in network.buffers.items()}
    quiet = network(x)
    assert not network.buffers["mean"].any(), "evaluation changes nothing"
    noisy = [network(x, training=True) for _ in range(2)]
    assert not torch.equal(noisy[0] == 0, noisy[1] == 0), "each call draws anew"
    torch.testing.assert_close(network.buffers["mean"], (0.75 * x.mean(1))[:, None].expand(-1, copies, -1))
    assert (network.buffers["draws"] == 2).all()
    assert addresses == {path: value.data_ptr() for path, value in network.buffers.items()}, "in place"
    for index, seed in enumerate(seeds):
        alone = stacked((seed,), copies)
        torch.testing.assert_close(alone(x[index : index + 1])[0], quiet[index])
        for output in noisy:
            torch.testing.assert_close(alone(x[index : index + 1], training=True)[0], output[index])
    assert network.averaged().keys() == {"sphere", "frozen", "mean"}
