"""What each measure reads of a learner, against a computation of its own, member by member."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from looking import DIAGNOSTICS, TANH, looked_at, read, transitions
from tiny_runs import DRIFT, EAGER, tiny
from torch import Tensor
from torch.func import functional_call

from composer.diagnostics import Diagnostic
from composer.training.assemble import make_surgery
from composer.training.diagnose.view import LearnerView
from composer.training.learner import Learner

SMALL = {"trainability": {"steps": 3}, "gradient_covariance": {"samples": 4}, "curvature": {"iterations": 4}}


def same(actual: Tensor, expected: Tensor, rtol: float = 1e-4, atol: float = 1e-6) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), rtol=rtol, atol=atol)


def every(kind: str) -> Diagnostic:
    """A measure of a kind, cheap."""
    return DIAGNOSTICS.validate_python({"kind": kind, **SMALL.get(kind, {})})


@pytest.mark.parametrize("kind", sorted(Diagnostic.kinds()))
def test_every_kind_reports_what_it_says_once_a_seed(kind: str) -> None:
    measure = every(kind)
    memory: dict[str, Tensor] = {}
    _, view = looked_at("seeds=[3, 4]", updates=2)
    found = measure.read(view, memory)
    if memory:  # It reports a change: from the second reading on.
        assert found == {}
        found = measure.read(looked_at("seeds=[3, 4]", updates=3)[1], memory)
    assert set(found) == set(measure.reports(view.networks))
    for name, value in found.items():
        assert value.shape == (2,), name
        assert torch.isfinite(value).all(), name
        assert value[0] != value[1] or name.endswith(("ratio", "ratio_0.1", "rank")), name


@pytest.mark.parametrize("kind", sorted(Diagnostic.kinds()))
def test_seeds_in_one_program_read_the_same_as_alone(kind: str) -> None:
    measure = every(kind)
    learner, view = looked_at("seeds=[3, 4]", TANH, updates=2)
    state = {name: value.detach().clone() for name, value in learner.tensors().items()}
    memory: dict[str, Tensor] = {}
    together = measure.read(view, memory) or measure.read(_later(learner, view), memory)
    for index, seed in enumerate((3, 4)):
        alone, one = looked_at(f"seeds=[{seed}]", TANH)
        its = slice(index, index + 1)
        alone.load({name: row[:, its] if name == "signals" else row[its] for name, row in state.items()})
        one = _view(alone, one, index)
        memory = {}
        expected = measure.read(one, memory) or measure.read(_later(alone, one), memory)
        for name, value in together.items():
            # The trainability task takes a sine of 1e5 times an output: rounding moves its targets.
            loose = {"rtol": 0.5, "atol": 0.5} if "trainability" in name else {"rtol": 2e-3, "atol": 1e-4}
            same(value[its], expected[name], **loose)


def _view(learner: Learner, view: LearnerView, index: int) -> LearnerView:
    data = transitions(2)
    return LearnerView(view.spec, learner, type(data)(*(part[index : index + 1] for part in data)))


def _later(learner: Learner, view: LearnerView) -> LearnerView:
    """After the policy has moved, the same way in every learner."""
    with torch.no_grad():
        learner.networks["actor"].parameters["head.mean.bias"].add_(0.3)
    return LearnerView(view.spec, learner, view.transitions)


# Units and features -----------------------------------------------------------------------------------------------

RELU = 'networks.critic.trunk=[{ kind = "linear", width = 8 }, { kind = "relu" }, { kind = "linear", width = 4 }, { kind = "relu" }]'  # noqa: E501


def kill(learner: Learner, layer: int, units: list[int], copies: list[int]) -> None:
    """Units whose bias is so low that they are never active."""
    with torch.no_grad():
        for copy in copies:
            learner.networks["critic"].parameters[f"trunk.{layer}.bias"][:, copy, units] = -1e3


def test_units_are_counted_over_layers_and_must_be_silent_in_every_copy() -> None:
    learner, view = looked_at(RELU)
    before = read(view, kind="dead_units")["critic/dead_unit_ratio"]
    assert float(before) < 0.3
    kill(learner, 0, [0, 1, 2, 3], [0])
    assert float(read(_view(learner, view, 0), kind="dead_units")["critic/dead_unit_ratio"]) == float(before)
    kill(learner, 0, [0, 1, 2, 3, 4, 5, 6, 7], [0, 1])
    found = read(_view(learner, view, 0), kind="dead_units", layers=True)
    assert float(found["critic/layers/trunk.1/dead_unit_ratio"]) == 1.0
    # With nothing coming in and biases 0, the second layer is silent too: 12 of 12 units.
    assert float(found["critic/dead_unit_ratio"]) == 1.0
    with torch.no_grad():
        learner.networks["critic"].parameters["trunk.2.bias"].fill_(1.0)
    view = _view(learner, view, 0)
    found = read(view, kind="dead_units")
    assert float(found["critic/dead_unit_ratio"]) == pytest.approx(8 / 12)
    assert float(read(view, kind="dormant", tau=0.0)["critic/dormant_ratio_0"]) == pytest.approx(8 / 12)
    assert float(read(view, kind="zero_activations")["critic/zero_activation_ratio"]) == pytest.approx(8 / 12)


def test_a_unit_that_is_weak_beside_its_layer_is_dormant_and_not_dead() -> None:
    learner, view = looked_at(RELU)
    with torch.no_grad():
        parameters = learner.networks["critic"].parameters
        parameters["trunk.0.weight"].zero_()
        parameters["trunk.0.bias"].fill_(1.0)
        parameters["trunk.0.bias"][:, :, 0] = 0.05  # A score of 0.05 by 0.88125.
    for tau, expected in ((0.05, 0.0), (0.06, 1 / 8)):
        found = read(_view(learner, view, 0), kind="dormant", tau=tau, layers=True)
        assert float(found[f"critic/layers/trunk.1/dormant_ratio_{tau}"]) == pytest.approx(expected)
    found = read(_view(learner, view, 0), kind="dead_units", layers=True)
    assert not found["critic/layers/trunk.1/dead_unit_ratio"].any()
    with torch.no_grad():
        parameters["trunk.0.bias"][:, 1, 0] = 1.0  # The other copy's unit is as good as any.
    found = read(_view(learner, view, 0), kind="dormant", tau=0.06, layers=True)
    assert not found["critic/layers/trunk.1/dormant_ratio_0.06"].any()


def test_features_are_what_enters_the_head_of_each_copy() -> None:
    learner, view = looked_at("seeds=[3, 4]", TANH)
    features = view.features("critic")
    assert features.shape == (2, 2, 24, 7)
    parameters, inputs = learner.networks["critic"].parameters, view.inputs("critic").now
    for seed in range(2):
        for copy in range(2):
            weight, bias = (parameters[f"trunk.0.{name}"][seed, copy] for name in ("weight", "bias"))
            same(features[seed, copy], torch.tanh(inputs[seed] @ weight.T + bias))
    norms = features.norm(dim=-1)
    same(read(view, kind="feature_norm")["critic/feature_norm"], norms.mean((1, 2)))
    values = torch.linalg.svdvals(features)
    stable = (values.square().sum(-1) / values[..., 0].square()).mean(1)
    same(read(view, kind="rank")["critic/stable_rank"], stable)


def test_the_features_of_the_next_input_follow_the_policy() -> None:
    learner, view = looked_at(TANH)
    now, following = view.features("critic"), view.features("critic", following=True)
    same(read(view, kind="feature_dot")["critic/feature_dot"], (now * following).sum(-1).mean((1, 2)))
    inputs = view.inputs("critic")
    for _, copy, parameters in members(view, "critic"):
        by_hand = torch.tanh(inputs.following[0] @ parameters["trunk.0.weight"].T + parameters["trunk.0.bias"])
        same(following[0, copy], by_hand)
    assert torch.equal(inputs.following[..., :3], view.batch.next_observation)
    action = inputs.following[..., 3:]
    assert action.abs().max() <= 1
    assert not torch.allclose(action, learner.program.act(view.batch.next_observation, None), atol=1e-2)
    actor = view.inputs("actor")
    assert torch.equal(actor.now, view.batch.observation) and torch.equal(actor.following, view.batch.next_observation)


# Sizes ------------------------------------------------------------------------------------------------------------


def members(view: LearnerView, role: str) -> Iterator[tuple[int, int, dict[str, Tensor]]]:
    network = view.networks[role]
    for seed in range(network.seeds):
        for copy in range(network.copies):
            yield seed, copy, {path: value[seed, copy] for path, value in network.parameters.items()}


def test_parameters_of_all_copies_are_one_vector() -> None:
    _, view = looked_at("seeds=[3, 4]", TANH)
    total = torch.zeros(2, dtype=torch.float64)
    for seed, _, parameters in members(view, "critic"):
        total[seed] += sum(value.detach().double().square().sum() for value in parameters.values())
    found = read(view, kind="parameter_norm", layers=True)
    same(found["critic/parameter_norm"], total.sqrt())
    layers = [value for name, value in found.items() if name.startswith("critic/layers/")]
    assert len(layers) == 2
    same(torch.stack(layers).square().sum(0).sqrt(), total.sqrt())


def critic_loss(view: LearnerView, parameters: dict[str, Tensor], seed: int, target: Tensor) -> Tensor:
    module = view.networks["critic"].template.evaluation
    predicted = functional_call(module, parameters, (view.inputs("critic").now[seed],))
    return (predicted - target).square().mean()


def bellman_target(learner: Learner, view: LearnerView, seed: int) -> Tensor:
    """What the frozen target network and policy give."""
    inputs, noise = view.inputs("critic"), view._noise["target"]
    mean, log_std = learner.networks["actor"](view.batch.next_observation)
    from composer.algorithms.losses.tanh_gaussian import sample

    _, log_density = sample(mean[:, 0], log_std[:, 0], noise)
    value = learner.averages["target_critic"](inputs.following).amin(1)
    temperature = learner.built.scalars["temperature"].exp()
    target = view.batch.reward + view.batch.bootstrap * (value - temperature * log_density)
    return target[seed].detach()


def test_gradients_are_those_of_the_networks_own_loss() -> None:
    learner, view = looked_at("seeds=[3, 4]", TANH, updates=3)
    squares, quotients = torch.zeros(2), torch.zeros(2)
    for seed in range(2):
        target, by_layer = bellman_target(learner, view, seed), dict[str, list[Tensor]]()
        for _, _, parameters in (each for each in members(view, "critic") if each[0] == seed):
            loss = critic_loss(view, parameters, seed, target)
            for path, gradient in zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True):
                squares[seed] += gradient.square().sum()
                sums = by_layer.setdefault(path.rpartition(".")[0], [torch.zeros(()), torch.zeros(()), 0])  # type: ignore[list-item]
                sums[0] = sums[0] + gradient.square().sum()
                sums[1] = sums[1] + parameters[path].square().sum()
                sums[2] += gradient.numel()
        rates = [(g / w).sqrt() * n for g, w, n in by_layer.values()]
        quotients[seed] = sum(rates).detach() / sum(n for _, _, n in by_layer.values())  # type: ignore[union-attr]
    same(read(view, kind="gradient_norm")["critic/gradient_norm"], squares.sqrt())
    same(read(view, kind="effective_learning_rate")["critic/effective_learning_rate"], quotients)


def test_the_way_from_the_beginning_is_measured_from_the_first_draw() -> None:
    learner, view = looked_at("seeds=[3, 4]")
    found = read(view, kind="distance_to_init", layers=True)
    assert all(not value.any() for value in found.values())
    with torch.no_grad():
        learner.networks["critic"].parameters["trunk.0.weight"][1, 0, 0, :2].add_(torch.tensor([3.0, -4.0]))
    found = read(view, kind="distance_to_init", layers=True)
    same(found["critic/distance_to_init"], torch.tensor([0.0, 5.0]))
    same(found["critic/layers/trunk.0/distance_to_init"], torch.tensor([0.0, 5.0]))
    first = looked_at("seeds=[3, 4]")[1]
    norm = read(first, kind="parameter_norm")["critic/parameter_norm"]
    same(found["critic/relative_distance_to_init"], torch.tensor([0.0, 5.0]) / norm)
    assert not found["actor/distance_to_init"].any()


# Gradients of samples, curvature ----------------------------------------------------------------------------------


def test_gradient_covariance_is_over_single_samples() -> None:
    learner, view = looked_at(TANH, updates=2)
    target = bellman_target(learner, view, 0)
    rows = []
    for sample in range(5):
        row = []
        for _, _, parameters in members(view, "critic"):
            module = view.networks["critic"].template.evaluation
            predicted = functional_call(module, parameters, (view.inputs("critic").now[0, sample],))
            row += torch.autograd.grad((predicted - target[sample]).square(), list(parameters.values()))
        rows.append(torch.cat([part.flatten() for part in row]))
    matrix = torch.nn.functional.cosine_similarity(torch.stack(rows)[:, None], torch.stack(rows), dim=-1)
    off = matrix[~torch.eye(5, dtype=torch.bool)]
    found = read(view, kind="gradient_covariance", samples=5, roles=["critic"])
    assert set(found) == {"critic/gradient_covariance_magnitude", "critic/gradient_covariance_mean"}
    same(found["critic/gradient_covariance_magnitude"], off.abs().mean()[None], rtol=1e-3)
    same(found["critic/gradient_covariance_mean"], off.mean()[None], rtol=1e-3, atol=1e-4)


def test_the_eigenvalue_is_that_of_the_whole_hessian_with_frozen_targets() -> None:
    learner, view = looked_at("seeds=[3, 4]", TANH, updates=2)
    found = read(view, kind="curvature", iterations=60, roles=["critic"])
    norm = read(view, kind="parameter_norm")["critic/parameter_norm"]
    for seed in range(2):
        target = bellman_target(learner, view, seed)
        tops = []
        for _, _, parameters in (each for each in members(view, "critic") if each[0] == seed):
            shapes = {path: value.shape for path, value in parameters.items()}

            def loss(flat: Tensor, shapes=shapes, seed=seed, target=target) -> Tensor:  # type: ignore[no-untyped-def]
                pieces = flat.split([shape.numel() for shape in shapes.values()])
                named = {path: piece.view(shape) for (path, shape), piece in zip(shapes.items(), pieces, strict=True)}
                return critic_loss(view, named, seed, target)

            flat = torch.cat([value.detach().flatten() for value in parameters.values()])
            tops.append(torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))[-1])
        # Copies share nothing: the largest of all is the largest of one.
        top, square = torch.stack(tops).max().double(), norm[seed] ** 2
        same(found["critic/hessian_top_eigenvalue"][seed], top, rtol=1e-3)
        same(found["critic/hessian_top_eigenvalue_by_squared_norm"][seed], top / square, rtol=1e-3)
        same(found["critic/hessian_top_eigenvalue_times_squared_norm"][seed], top * square, rtol=1e-3)


def test_a_reading_is_the_same_twice() -> None:
    """Noise and directions are drawn from streams that belong to the seed, not to the moment."""
    learner, view = looked_at("seeds=[3, 4]", updates=2)
    for kind in sorted(Diagnostic.kinds()):
        measure = every(kind)
        first, second = measure.read(view, {}), measure.read(_again(learner, view), {})
        assert first.keys() == second.keys()
        for name, value in first.items():
            assert torch.equal(value, second[name]), name


def _again(learner: Learner, view: LearnerView) -> LearnerView:
    return LearnerView(view.spec, learner, view.transitions)


# The policy -------------------------------------------------------------------------------------------------------


def test_churn_is_the_way_of_the_modes_between_two_readings() -> None:
    measure = every("policy_churn")
    learner, view = looked_at("seeds=[3, 4]")
    memory: dict[str, Tensor] = {}
    assert measure.read(view, memory) == {}
    observation = view.transitions.observation
    before = learner.act(observation, explore=False)
    for step in range(4):
        learner.update(transitions(2, 32, step))
    after = learner.act(observation, explore=False)
    found = measure.read(_again(learner, view), memory)
    expected = (after - before).norm(dim=-1).mean(-1)
    same(found["policy/churn"], expected)
    same(found["policy/churn_per_update"], expected / 4)
    # With nothing learned in between there is none.
    found = measure.read(_again(learner, view), memory)
    assert not found["policy/churn"].any() and not found["policy/churn_per_update"].any()


def test_churn_is_read_on_the_states_of_the_time_before() -> None:
    """So that other states, as the newest ones are, do not count as another policy."""
    measure = every("policy_churn")
    learner, view = looked_at()
    memory: dict[str, Tensor] = {}
    measure.read(view, memory)
    moved = LearnerView(view.spec, learner, transitions(1, seed=5))
    assert not measure.read(moved, memory)["policy/churn"].any()
    assert torch.equal(memory["observation"], moved.transitions.observation)


# Networks that became others --------------------------------------------------------------------------------------

INJECTION = (
    'interventions.it={ when = { kind = "at", steps = [2] }, where = ["critic.trunk.2.*", "critic.head.*"], '
    'do = { kind = "inject" }, target = "follow" }'
)


def test_a_network_can_be_read_after_an_injection() -> None:
    trunk = 'networks.critic.trunk=[{ kind = "linear", width = 8 }, { kind = "relu" }, { kind = "linear", width = 6 }, '
    blueprint = tiny(DRIFT, "seeds=[3, 4]", trunk + '{ kind = "relu" }]', INJECTION)
    learner = Learner(blueprint.agent, "cpu", EAGER)
    surgery = make_surgery(blueprint, learner, lambda *_: None)
    before = LearnerView(blueprint.agent, learner, transitions(2))
    for step in (1, 2):
        learner.update(transitions(2, 32, step))
    features = _again(learner, before).features("critic")
    norm = read(_again(learner, before), kind="parameter_norm")["critic/parameter_norm"]
    surgery.fire_planned("update", 1, 2)
    view = _again(learner, before)
    assert "injected" in view.outline("critic").kind
    # The network's own head reads what it read; what is trained is as much as before, with fresh last layers.
    torch.testing.assert_close(view.features("critic"), features)
    assert set(view.units("critic")) == {
        "trunk.1",
        "trunk.3",
        *(f"injections.0.{term}.trunk.1" for term in ("new", "twin")),
    }
    assert not torch.equal(read(view, kind="parameter_norm")["critic/parameter_norm"], norm)
    # The way from the beginning is that of the encoder, which alone is trained and was there.
    found = read(view, kind="distance_to_init", layers=True)
    assert {name for name in found if "critic/layers" in name} == {"critic/layers/trunk.0/distance_to_init"}
    assert (found["critic/distance_to_init"] > 0).all()
    learner.update(transitions(2, 32, 3))
    for kind in sorted(set(Diagnostic.kinds()) - {"policy_churn"}):
        for name, value in every(kind).read(_again(learner, before), {}).items():
            assert torch.isfinite(value).all(), name
