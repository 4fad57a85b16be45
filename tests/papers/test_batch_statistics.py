"""Batch norm against torch's, batch renorm against its formulas one entry at a time, and both among members."""

from __future__ import annotations

import math

import pytest
import torch
from dispatched import captured_without_code
from fresh_blocks import fresh, parse
from tiny_runs import learner
from torch import Tensor, nn

from composer.networks.blocks import BatchNorm, BatchRenorm, Block
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.replay.transitions import Transitions
from composer.spec.shape import Shape
from composer.training.compile.capture import Choice, capture


def batches(count: int, *shape: int, seed: int = 0) -> Tensor:
    """Entries whose features differ in place and scale."""
    draws = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    return 3.0 * draws * torch.linspace(0.5, 2.0, shape[-1]) + torch.linspace(-2.0, 5.0, shape[-1])


def moved(block: Block, shape: Shape) -> nn.Module:
    """A module whose gain and shift are not at their start."""
    module = fresh(block, shape)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    return module


@pytest.mark.parametrize("shape", [(5,), (3, 4, 6)], ids=str)
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_is_torchs_in_both_modes(shape: Shape, affine: bool) -> None:
    block = BatchNorm(momentum=0.7, epsilon=0.1, unbiased=True, affine=affine)
    ours = moved(block, shape)
    kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    theirs = kind(shape[0], eps=0.1, momentum=0.3, affine=affine)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    for x in batches(3, 6, *shape):
        ours_in, theirs_in = x.clone().requires_grad_(), x.clone().requires_grad_()
        weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
        (ours(ours_in) * weights).sum().backward()
        (theirs(theirs_in) * weights).sum().backward()
        torch.testing.assert_close(ours_in.grad, theirs_in.grad)
        torch.testing.assert_close(ours(x), theirs(x))
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name], msg=name)
    x = batches(6, *shape, seed=3)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_running_variance_is_the_populations_and_momentum_the_share_kept() -> None:
    module = BatchNorm(momentum=0.75).build((5,))
    x = batches(4, 5)
    module(x)
    centred = x - x.mean(0)
    torch.testing.assert_close(module.running_mean, 0.25 * x.mean(0))
    torch.testing.assert_close(module.running_var, 0.75 + 0.25 * centred.square().mean(0))


@pytest.mark.parametrize("kind", ["batch_norm", "batch_renorm"])
def test_every_axis_but_the_features_is_the_batch(kind: str) -> None:
    x = batches(2, 3, 7, 5)  # As tokens: 2 x 3 sequences of 7 tokens of 5 features.
    tokens, vectors, image = (parse({"kind": kind}).build(shape) for shape in [(7, 5), (5,), (5, 7, 3)])
    expected = vectors(x.reshape(-1, 5))
    torch.testing.assert_close(tokens(x), expected.view(x.shape))
    torch.testing.assert_close(image(x.permute(0, 3, 2, 1)), expected.view(x.shape).permute(0, 3, 2, 1))
    for one in (tokens, image):
        torch.testing.assert_close(one.state_dict(), vectors.state_dict())
    with pytest.raises(ValueError, match="need a batch axis"):
        vectors(x[0, 0, 0])
    vectors(x[0, 0, :1])
    assert all(torch.isfinite(value).all() for value in vectors.state_dict().values())


def renormed(x: list[list[float]], mean: list[float], variance: list[float], bounds: tuple[float, float]) -> Tensor:
    """Algorithm 1 of arXiv:1702.03275, entry by entry, without gain and shift."""
    r_max, d_max = bounds
    columns = []
    for values, running, spread in zip(zip(*x, strict=True), mean, variance, strict=True):
        centre = sum(values) / len(values)
        deviation = math.sqrt(sum((value - centre) ** 2 for value in values) / len(values) + 1e-3)
        moving = math.sqrt(spread + 1e-3)
        r = min(max(deviation / moving, 1 / r_max), r_max)
        d = min(max((centre - running) / moving, -d_max), d_max)
        columns.append([(value - centre) / deviation * r + d for value in values])
    return torch.tensor(columns).T


def test_batch_renorm_is_algorithm_1_after_the_warm_up() -> None:
    module = BatchRenorm(warm_up=2, r_max=1.5, d_max=0.5, momentum=0.9, affine=False).build((5,))
    for step, x in enumerate(batches(5, 8, 5)):
        mean, variance = module.running_mean.tolist(), module.running_var.tolist()
        bounds = (1.5, 0.5) if step >= 2 else (1.0, 0.0)
        torch.testing.assert_close(module(x), renormed(x.tolist(), mean, variance, bounds))
        assert module.steps == step + 1
        torch.testing.assert_close(module.running_mean, 0.9 * torch.tensor(mean) + 0.1 * x.mean(0))
        torch.testing.assert_close(module.running_var, 0.9 * torch.tensor(variance) + 0.1 * x.var(0, correction=0))
    module.eval()(batches(8, 5))
    assert module.steps == 5


def crossqs(x: list[list[float]], mean: list[float], variance: list[float], warm: bool) -> Tensor:
    """CrossQ's code, entry by entry: what normalises is a mean and a variance, to which 1e-3 is added."""
    columns = []
    for values, running, spread in zip(zip(*x, strict=True), mean, variance, strict=True):
        centre = sum(values) / len(values)
        own = sum((value - centre) ** 2 for value in values) / len(values)
        r = min(max(math.sqrt(own + 1e-3) / math.sqrt(spread + 1e-3), 1 / 1.5), 1.5) if warm else 1.0
        d = min(max((centre - running) / math.sqrt(spread + 1e-3), -0.5), 0.5) if warm else 0.0
        effective = centre - d * math.sqrt(own) / r
        columns.append([(value - effective) / math.sqrt(own / r**2 + 1e-3) for value in values])
    return torch.tensor(columns, dtype=torch.float64).T


def test_batch_renorm_may_correct_the_moments_as_crossq_does() -> None:
    block = BatchRenorm(warm_up=2, r_max=1.5, d_max=0.5, momentum=0.9, affine=False, corrects="moments")
    module, plain = block.build((5,)).double(), BatchRenorm(warm_up=2, r_max=1.5, d_max=0.5, affine=False).build((5,))
    for step, x in enumerate(0.02 * batches(5, 8, 5).double()):  # Small beside epsilon.
        x[:, 4] = 1.0  # A feature that is the same in the whole batch.
        mean, variance = module.running_mean.tolist(), module.running_var.tolist()
        y = module(x.requires_grad_())
        expected = crossqs(x.tolist(), mean, variance, step >= 2)
        torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
        (gradient,) = torch.autograd.grad(y.square().sum(), x)
        assert gradient.isfinite().all()
    plain.load_state_dict(
        {**module.state_dict(), "running_mean": torch.tensor(mean), "running_var": torch.tensor(variance)}
    )
    assert (plain(x.detach().float()).double() - expected).abs().max() > 0.1, "the paper's correction differs"


def test_unclipped_batch_renorm_gives_in_training_what_it_gives_in_evaluation() -> None:
    module = moved(BatchRenorm(warm_up=0, r_max=1e6, d_max=1e6), (3, 4, 6))
    x = batches(6, 3, 4, 6)
    expected = module.eval()(x)
    torch.testing.assert_close(module.train()(x), expected, rtol=1e-4, atol=1e-4)


def test_gradients_pass_by_the_correction() -> None:
    x = batches(8, 5).requires_grad_()
    renorm, norm = BatchRenorm(warm_up=0, affine=False).build((5,)), BatchNorm(epsilon=1e-3, affine=False).build((5,))
    weights = torch.randn(8, 5, generator=torch.Generator().manual_seed(2))
    deviation = (x.detach().var(0, correction=0) + 1e-3).sqrt()
    (gradient,) = torch.autograd.grad((renorm(x) * weights).sum(), x)
    # r is a constant factor of each feature, d adds nothing.
    r = (deviation / math.sqrt(1 + 1e-3)).clamp(1 / 3, 3)
    assert (r == 3).any() and (r < 3).any()
    (expected,) = torch.autograd.grad((norm(x) * weights * r).sum(), x)
    torch.testing.assert_close(gradient, expected)


MIXED = [
    {"kind": "rs_norm"},
    {"kind": "conv", "width": 4, "kernel": 3, "padding": "same", "bias": False},
    {"kind": "batch_norm"},
    {"kind": "residual", "block": [{"kind": "relu"}, {"kind": "conv", "expansion": 1, "kernel": 3, "padding": 1}]},
    {"kind": "max_pool", "kernel": 3, "stride": 2, "padding": "same"},
    {"kind": "flatten"},
    {"kind": "spectral_norm", "block": {"kind": "linear", "width": 6}},
    {"kind": "batch_renorm", "warm_up": 1},
    {"kind": "weight_norm", "block": {"kind": "linear", "width": 3}},
]
SHAPE = (2, 5, 5)


def stacked(block: Block, shape: Shape, seeds: tuple[int, ...], copies: int) -> Stacked:
    outline = block.outline(shape)
    parameters = fresh_stack(outline, seeds, copies, "init")
    return Stacked(Template(lambda: block.build(shape)), parameters, fresh_buffers(outline, seeds, copies, "init"))


def test_members_normalise_by_their_own_batches() -> None:
    """Three training passes of 2 seeds x 3 copies, against each member as a plain module."""
    block, seeds, copies = parse(MIXED), (0, 1), 3
    network = stacked(block, SHAPE, seeds, copies)
    alone = {}
    for s in range(2):
        for c in range(copies):
            module = block.build(SHAPE)
            state = {path: value[s, c].detach().clone() for path, value in network.tensors().items()}
            module.load_state_dict(state, assign=True)
            alone[s, c] = module
    for step in range(3):
        x = batches(2, 8, *SHAPE, seed=step)
        y = network(x, training=True)
        for (s, c), module in alone.items():
            torch.testing.assert_close(y[s, c], module(x[s]), rtol=1e-4, atol=1e-5)
    quiet = network(x)
    for (s, c), module in alone.items():
        torch.testing.assert_close(quiet[s, c], module.eval()(x[s]), rtol=1e-4, atol=1e-5)
        for path, value in module.state_dict().items():
            torch.testing.assert_close(network.tensors()[path][s, c].detach(), value, rtol=1e-4, atol=1e-5, msg=path)
    statistics = {path for path, plan in block.outline(SHAPE).named_buffers() if plan.kind == "statistic"}
    assert network.averaged().keys() == network.parameters.keys() | statistics
    assert statistics == set(network.buffers) - {"7.steps"}


def test_averages_follow_the_statistics_and_only_a_networks_own_loss_moves_them() -> None:
    trunk = "[{ kind = 'linear', width = 8 }, { kind = 'batch_renorm' }, { kind = 'relu' }]"
    agent = learner(f"networks.critic.trunk={trunk}", "averages.target_critic.momentum=0.75", "seeds=[0, 1]")
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(2, 32, *shape, generator=generator)

    target = torch.zeros(2, 2, 8)
    for update in range(2):
        agent.update(Transitions(draw(3), draw(2).tanh(), draw(), torch.full((2, 32), 0.9), draw(3)))
        state = agent.tensors()
        online = state["networks/critic/trunk.1.running_mean"]
        target = 0.75 * target + 0.25 * online
        assert online.any()
        torch.testing.assert_close(state["averages/target_critic/trunk.1.running_mean"], target)
        assert (state["networks/critic/trunk.1.steps"] == update + 1).all(), "one training pass an update"
        assert not state["averages/target_critic/trunk.1.steps"].any()


@pytest.mark.slow
def test_compiled_training_of_a_small_resnet_is_the_eager_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two seeds of two copies: three steps of gradient descent through statistics that change inside the program."""
    captured_without_code(monkeypatch)
    conv = {"kind": "conv", "width": 4, "kernel": 3, "padding": 1, "bias": False}
    table = [
        [conv, {"kind": "batch_renorm", "warm_up": 1}, {"kind": "relu"}],
        {"kind": "residual", "block": [conv, {"kind": "batch_norm"}]},
        {"kind": "global_average_pool"},
        {"kind": "spectral_norm", "block": {"kind": "linear", "width": 3}},
    ]
    eager, compiled = (stacked(parse(table), SHAPE, (0, 1), 2) for _ in range(2))

    def steps(network: Stacked, is_compiled: bool) -> None:
        trained = list(network.parameters.values())

        def step(x: Tensor) -> Tensor:
            loss = network(x, training=True).square().mean()
            gradients = torch.autograd.grad(loss, trained)
            with torch.no_grad():
                for value, gradient in zip(trained, gradients, strict=True):
                    value.sub_(0.1 * gradient)
            return loss.detach()

        captured = capture(step, Choice(is_compiled, "a test"), "cpu", lambda: [])
        for number in range(3):
            captured(batches(2, 8, *SHAPE, seed=number))

    steps(eager, False)
    before = {path: value.data_ptr() for path, value in compiled.tensors().items()}
    steps(compiled, True)
    assert before == {path: value.data_ptr() for path, value in compiled.tensors().items()}
    for path, value in eager.tensors().items():
        torch.testing.assert_close(compiled.tensors()[path], value, rtol=1e-4, atol=1e-5, msg=path)
    assert (compiled.buffers["0.1.steps"] == 3).all()
