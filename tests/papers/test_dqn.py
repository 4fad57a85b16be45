"""DQN and its relatives against their equations, written out here a second time.

arXiv:1312.5602 (targets), 1509.06461 (double), 1707.06887 (C51), 1710.10044 (quantiles), 1806.06923 (implicit ones),
2403.03950 (HL-Gauss, two-hot), 1511.05952 (priorities).
"""

from __future__ import annotations

import math

import pytest
import torch
from tiny_dqn import ACTIONS, BATCH, C51, DOTS, RAINBOW, SPR, batch, learner, noise, tiny
from torch import Tensor

from composer.algorithms.program import Batch
from composer.blueprint import BlueprintError
from composer.replay.transitions import Transitions
from composer.training.learner import Learner

ATOMS, LOW, HIGH = 11, -5.0, 5.0
GRID = f"atoms = {ATOMS}, low = {LOW}, high = {HIGH}"
HEADS = {
    "squared": 'networks.value.head={ kind = "discrete_value" }',
    "huber": 'networks.value.head={ kind = "discrete_value", huber = 0.5 }',
    "c51": C51,
    "two_hot": f'networks.value.head={{ kind = "categorical_value", values = "per_action", {GRID}, '
    'projection = "two_hot" }',
    "hl_gauss": f'networks.value.head={{ kind = "categorical_value", values = "per_action", {GRID}, '
    'projection = "hl_gauss", sigma_ratio = 0.75 }',
    "quantile": 'networks.value.head={ kind = "quantile", values = "per_action", quantiles = 4 }',
}


def values(head: str, output: Tensor) -> Tensor:
    """``[A]`` of what a head returns for one observation."""
    if head in ("squared", "huber"):
        return output
    if head == "quantile":
        return output.mean(-1)
    return output.softmax(-1) @ torch.linspace(LOW, HIGH, ATOMS, dtype=output.dtype)


def spread(head: str, points: list[float], weights: list[float]) -> list[float]:
    """Probabilities of the atoms: C51's projection, atom by atom; and HL-Gauss's masses of one point."""
    step = (HIGH - LOW) / (ATOMS - 1)
    found = [0.0] * ATOMS
    for point, weight in zip(points, weights, strict=True):
        point = min(max(point, LOW), HIGH)
        if head == "hl_gauss":
            edges = [LOW + step * (index - 0.5) for index in range(ATOMS + 1)]
            below = [0.5 * (1 + math.erf((edge - point) / (math.sqrt(2) * 0.75 * step))) for edge in edges]
            total = below[-1] - below[0]
            found = [found[i] + weight * (below[i + 1] - below[i]) / total for i in range(ATOMS)]
            continue
        place = (point - LOW) / step
        lower, upper = math.floor(place), math.ceil(place)
        if lower == upper:
            found[lower] += weight
        else:
            found[lower] += weight * (upper - place)
            found[upper] += weight * (place - lower)
    return found


def loss_of_one(head: str, output: Tensor, following: Tensor, reward: float, bootstrap: float) -> tuple[float, float]:
    """Loss and priority of one sample: its own output and the target network's for the chosen next action."""
    if head in ("squared", "huber"):
        error = output.item() - (reward + bootstrap * following.item())
        huber = 0.5 * error**2 if abs(error) <= 0.5 else 0.5 * (abs(error) - 0.25)
        return (error**2 if head == "squared" else huber), abs(error)
    if head == "quantile":
        total = 0.0
        for i, own in enumerate(output.tolist()):
            tau = (2 * i + 1) / (2 * len(output))
            for other in following.tolist():
                error = reward + bootstrap * other - own
                size = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                total += abs(tau - (error < 0)) * size / len(following)
        return total, total
    probabilities = following.softmax(-1)
    support = torch.linspace(LOW, HIGH, ATOMS, dtype=output.dtype)
    if head == "c51":
        target = spread(head, (reward + bootstrap * support).tolist(), probabilities.tolist())
    else:
        target = spread(head, [reward + bootstrap * float(probabilities @ support)], [1.0])
    total = -sum(p * q for p, q in zip(target, output.log_softmax(-1).tolist(), strict=True))
    return total, total


def outputs(agent: Learner, head: str, name: str, observation: Tensor) -> Tensor:
    """What a network or an average gives for ``[S, B, ...]``, seed 0 in float64, by plain module calls."""
    module = tiny(HEADS[head]).networks["value"].build((3,), ACTIONS)
    stack = {**agent.networks, **agent.averages}[name]
    module.load_state_dict({path: value[0, 0].detach() for path, value in stack.tensors().items()})
    output: Tensor = module.double()(observation[0].double()).detach()
    return output


def made(*overrides: str) -> Learner:
    """A learner whose target network differs from the network, which it is a copy of at first."""
    agent = learner(*overrides)
    for seed, value in enumerate(agent.averages["target_value"].parameters.values()):
        value.add_(0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(seed)))
    return agent


def told(agent: Learner, data: Transitions, extra: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    signals: dict[str, Tensor] = {}
    loss = agent.program.objectives[0].loss(Batch(*data, extra), noise(agent), signals)
    return loss, signals


@pytest.mark.parametrize("double", [False, True], ids=["plain", "double"])
@pytest.mark.parametrize("head", HEADS)
def test_losses_and_priorities_are_those_of_the_equations(head: str, double: bool) -> None:
    agent = made(HEADS[head], f"algorithm.double={str(double).lower()}")
    data, extra = batch(agent)
    # Targets on atoms and far beyond them, as well as between.
    data.reward[:, 1], data.reward[:, 2], data.bootstrap[:, 1] = 2.0, 40.0, 0.0
    loss, signals = told(agent, data, extra)
    own, chooser, target = (
        outputs(agent, head, name, seen)
        for name, seen in (
            ("value", data.observation),
            ("value", data.next_observation),
            ("target_value", data.next_observation),
        )
    )
    total, elsewhere = 0.0, 0
    for index in range(BATCH):
        choices = {name: int(values(head, raw[index]).argmax()) for name, raw in (("own", chooser), ("its", target))}
        elsewhere += choices["own"] != choices["its"]
        chosen = target[index, choices["own" if double else "its"]]
        taken = int(data.action[0, index].argmax())
        each = loss_of_one(
            head, own[index, taken], chosen, data.reward[0, index].item(), data.bootstrap[0, index].item()
        )
        total += extra["weight"][0, index].item() * each[0] / BATCH
        assert signals["priority"][0, index].item() == pytest.approx(each[1], rel=1e-4, abs=1e-5)
    assert elsewhere, "the two networks choose differently, or double is not told from plain"
    assert loss.item() == pytest.approx(total, rel=1e-4)
    assert signals["value/loss"].item() == pytest.approx(total, rel=1e-4)


def test_implicit_quantiles_learn_at_drawn_levels_from_midpoints() -> None:
    head = 'networks.value.head={ kind = "implicit_quantile", values = "per_action", samples = 5, cosines = 4 }'
    agent = made(head)
    data, extra = batch(agent)
    network, target = agent.networks["value"], agent.averages["target_value"]
    draws = network.buffers["head.draws"].clone()
    quantiles, levels = (each[0, 0].double() for each in network(data.observation, training=True))
    network.buffers["head.draws"].copy_(draws)
    following = target(data.next_observation)[0][0, 0].double()
    loss, _ = told(agent, data, extra)
    assert network.buffers["head.draws"].item() == 1, "one draw an update"
    total = 0.0
    for index in range(BATCH):
        action = int(data.action[0, index].argmax())
        chosen = following[index, int(following[index].mean(-1).argmax())]
        goal = data.reward[0, index].double() + data.bootstrap[0, index] * chosen
        one = 0.0
        for own, tau in zip(quantiles[index, action].tolist(), levels[index, action].tolist(), strict=True):
            errors = [other - own for other in goal.tolist()]
            sizes = [0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5 for error in errors]
            one += sum(abs(tau - (e < 0)) * size for e, size in zip(errors, sizes, strict=True)) / len(errors)
        total += extra["weight"][0, index].item() * one / BATCH
    assert loss.item() == pytest.approx(total, rel=1e-4)


def test_only_the_value_of_the_action_taken_is_pulled() -> None:
    agent = made(HEADS["squared"])
    data, extra = batch(agent)
    data = data._replace(action=torch.eye(ACTIONS)[[1] * BATCH].expand(1, BATCH, ACTIONS))
    loss, _ = told(agent, data, extra)
    weight = agent.networks["value"].parameters["head.linear.weight"]
    (gradient,) = torch.autograd.grad(loss.sum(), weight)
    assert gradient[0, 0, 1].any() and not gradient[0, 0, [0, 2]].any()


def test_heavier_samples_pull_more() -> None:
    agent = made()
    data, extra = batch(agent)
    parameters = list(agent.networks["value"].parameters.values())

    def slope(weight: Tensor) -> list[Tensor]:
        loss, _ = told(agent, data, {"weight": weight})
        return list(torch.autograd.grad(loss.sum(), parameters))

    ones = torch.eye(BATCH)
    apart = [slope(row[None]) for row in ones]
    for index, got in enumerate(slope(extra["weight"])):
        expected = sum(extra["weight"][0, row] * each[index] for row, each in enumerate(apart))
        torch.testing.assert_close(got, expected)


def test_the_target_is_copied_every_n_updates_and_still_between() -> None:
    agent = made("averages.target_value.momentum={ kind = 'periodic', every = 3 }")
    target = agent.averages["target_value"].parameters
    for update in range(1, 8):
        before = {path: value.clone() for path, value in target.items()}
        data, extra = batch(agent, update)
        agent.update(data, extra)
        kept = agent.networks["value"].parameters if update % 3 == 0 else before
        for path, value in target.items():
            assert torch.equal(value, kept[path]), (update, path)


def test_random_actions_are_as_frequent_as_declared_and_all_alike() -> None:
    agent = made("algorithm.epsilon={ kind = 'linear', start = 1.0, end = 0.2, updates = 10 }", "seeds=[0, 1]")
    observation = torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(0)).expand(2, 6000, 3)
    greedy = agent.networks["value"](observation[:, :1])[:, 0, 0].argmax(-1)
    for updates, epsilon in ((0, 1.0), (5, 0.6), (10, 0.2), (1000, 0.2)):
        agent.updates.fill_(updates)
        actions = agent.act(observation)
        assert torch.equal(actions.sum(-1), torch.ones(2, 6000)) and set(actions.unique().tolist()) == {0.0, 1.0}
        for seed in range(2):
            for action, share in enumerate(actions[seed].mean(0).tolist()):
                expected = epsilon / ACTIONS + (1 - epsilon) * (action == greedy[seed])
                assert abs(share - expected) < 5 * (0.25 / 6000) ** 0.5, (updates, seed, action)


def test_evaluations_explore_by_a_share_of_their_own_and_repeat() -> None:
    agent = made("algorithm.evaluation_epsilon=0.3")
    observation = torch.zeros(1, 6000, 3)
    best = int(agent.networks["value"](observation[:, :1])[0, 0, 0].argmax())

    def played(number: int) -> Tensor:
        agent.policy.begin_evaluation(number)
        return agent.act(observation, explore=False)

    streams = {name: g.get_state() for name, g in agent.generators().items()}
    first = played(4)
    assert abs(first[0, :, best].mean().item() - (0.7 + 0.1)) < 5 * (0.25 / 6000) ** 0.5
    assert torch.equal(played(4), first) and not torch.equal(played(5), first)
    assert all(torch.equal(g.get_state(), streams[name]) for name, g in agent.generators().items())
    still = made("algorithm.evaluation_epsilon=0.0").act(observation, explore=False)
    assert (still[0].argmax(-1) == best).all()


def test_noisy_networks_draw_for_each_purpose_and_not_in_evaluations() -> None:
    agent = made(*RAINBOW, "algorithm.evaluation_epsilon=0.0")
    data, extra = batch(agent)

    def drawn() -> dict[str, int]:
        stacks = {"online": agent.networks["value"], "target": agent.averages["target_value"]}
        return {
            name: {int(v) for path, v in stack.buffers.items() if path.endswith("draws")}.pop()
            for name, stack in stacks.items()
        }

    assert drawn() == {"online": 0, "target": 0}
    agent.update(data, extra)
    # The choice of the next action and the prediction; the target's value.
    assert drawn() == {"online": 2, "target": 1}
    keys = [stack.buffers["head.value.0.0.key"] for stack in (agent.networks["value"], agent.averages["target_value"])]
    assert not torch.equal(*keys), "streams of their own"
    judged = [agent.act(data.observation, explore=False) for _ in range(3)]
    assert drawn()["online"] == 2 and all(torch.equal(each, judged[0]) for each in judged)
    many = data.observation.repeat(1, 40, *[1] * 3)
    actions = torch.stack([agent.act(many) for _ in range(40)])
    assert drawn()["online"] == 42 and not torch.equal(actions[0], actions[-1]), "noise alone explores: epsilon is 0"


@pytest.mark.parametrize("overrides", [(), RAINBOW], ids=["dqn", "rainbow"])
def test_stacked_seeds_equal_each_alone(overrides: tuple[str, ...]) -> None:
    together = learner(*overrides, "seeds=[0, 5]")
    data, extra = batch(together)
    draws = noise(together)
    for _ in range(3):
        together.compute_update(*data, *extra.values(), *draws.values())
    for index, seed in enumerate((0, 5)):
        alone = learner(*overrides, f"seeds=[{seed}]")
        own = [value[index : index + 1] for value in (*data, *extra.values(), *draws.values())]
        for _ in range(3):
            alone.compute_update(*own)
        for name, value in alone.tensors().items():
            if name != "signals":
                torch.testing.assert_close(together.tensors()[name][index], value[0], msg=name)


def test_learning_fits_a_bandit() -> None:
    """Values of three actions that end the episode: the update has to find them."""
    agent = made("optimizers.value.learning_rate=0.01", HEADS["huber"])
    worth = torch.tensor([0.5, -1.0, 2.0])
    for step in range(600):
        data, extra = batch(agent, step)
        reward = data.action @ worth
        data = data._replace(reward=reward, bootstrap=torch.zeros_like(reward), observation=torch.ones(1, BATCH, 3))
        agent.update(data, {"weight": torch.ones_like(extra["weight"])})
    found = agent.networks["value"](torch.ones(1, 1, 3))[0, 0, 0]
    torch.testing.assert_close(found, worth, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("overrides", "where", "message"),
    [
        (("environment={ kind = 'test/drift' }",), "environment", "needs discrete actions"),
        (("networks.value.head={ kind = 'scalar' }",), "head", "value needs a head that gives 'action_values'"),
        (("networks.value.copies=2",), "copies", "DQN has one value, got 2"),
        ((*SPR, "averages.target_value.of='projection'"), "of", "averages 'value', got 'projection'"),
        (("algorithm.noisy=true",), "noisy", "has no noisy layer"),
        (("networks.value.head.sigma=0.5",), "algorithm", "set noisy = true"),
        (("algorithm.augmentation=[{ kind = 'random_shift' }]",), "augmentation", "observations here are [3]"),
        ((*DOTS, "algorithm.spr={ latent = 9 }"), "spr", "'latent' must be its width"),
        (("networks.transition={ trunk = { kind = 'relu' }, head = { kind = 'features' } }",), "", "belongs to 'spr'"),
    ],
)
def test_what_does_not_fit_is_refused(overrides: tuple[str, ...], where: str, message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(*overrides)
    assert message in str(caught.value) and where in str(caught.value)


SQUARED = ["atari/dqn", "atari/dqn@double", "atari/dqn@small", "atari/dqn_soft_moe", "atari/dqn_soft_moe@dense"]
HUBER = ["atari/drq", "atari/drq@small", "atari/drq@spr"]


@pytest.mark.parametrize("name", SQUARED + HUBER)
def test_losses_are_those_of_dopamines_agents(name: str) -> None:
    """An error of 3: the squared error, not halved, of DQN; the Huber loss of DrQ (dopamine/jax/losses.py)."""
    from composer.blueprint import load
    from composer.spec.package_files import blueprints_root
    from composer.training.compile.capture import Choice

    file, _, variant = name.partition("@")
    blueprint = load(blueprints_root() / f"{file}.toml", ["seeds=[0]"], variant or None, is_to_run=False).blueprint
    returns = Learner(blueprint.agent, "cpu", Choice(False, "a test")).built.returns["value"]
    error = torch.tensor([[3.0, 0.5]])
    expected = [9.0, 0.25] if name in SQUARED else [2.5, 0.125]
    assert returns.loss(error, torch.zeros(1, 2)).flatten().tolist() == expected
