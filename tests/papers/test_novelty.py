"""Random network distillation against its formulas, written out here a second time: arXiv:1810.12894."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_rollouts import begin, collected, learner, tiny
from tiny_runs import go_on, result, resumed, rows, stopped
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from composer.algorithms.program import Batch
from composer.blueprint import BlueprintError
from composer.diagnostics import GradientNorm
from composer.replay.transitions import Transitions
from composer.studies.measure_run import measure
from composer.training import launch
from composer.training.collect.intrinsic import IntrinsicAdvantages
from composer.training.collect.on_policy import Rollout
from composer.training.export.export import export
from composer.training.export.formats import FORMATS
from composer.training.learner import Learner

T, E, N, B = 8, 2, 16, 8
TRUNK = "trunk = { use = 'mlp', width = 6, depth = 1 }"
NETWORK = f"{{ {TRUNK}, head = {{ kind = 'features' }} }}"
NEW = (
    f"networks.intrinsic_critic={{ {TRUNK}, head = {{ kind = 'scalar' }} }}",
    f"networks.novelty_predictor={NETWORK}",
    f"networks.novelty_target={NETWORK}",
    *(f"optimizers.{role}={{ kind = 'adam', learning_rate = 1e-2 }}"
      for role in ("intrinsic_critic", "novelty_predictor")),
)  # fmt: skip
NOVELTY = (
    "algorithm.novelty={ reward_coefficient = 3.0, discount = 0.95, advantage_coefficient = 0.25, "
    "loss_coefficient = 0.5 }",
    *NEW,
)
RAW = "algorithm.normalize_advantages=false"
PLAIN = "normalization.observation={ kind = 'raw' }"
ENDING = 'environment={ kind = "test/drift", copies = 2, limit = 3, edge = 0.5 }'


def error(agent: Learner, observation: Tensor) -> Tensor:
    """Mean squared error of the prediction ``[S, B]``, in float64."""
    predicted, target = (
        agent.networks[f"novelty_{name}"](observation)[:, 0].double() for name in ("predictor", "target")
    )
    return ((predicted - target) ** 2).sum(-1) / 6


def drawn(agent: Learner, seed: int = 0) -> tuple[Transitions, dict[str, Tensor]]:
    generator, seeds = torch.Generator().manual_seed(seed), len(agent.seeds)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, B, *shape, generator=generator)

    extra = {name: draw() for name in agent.program.extras}
    return Transitions(draw(3), draw(2), draw(), torch.full((seeds, B), 0.9), draw(3)), extra


def test_rewards_are_normalised_and_summed_beyond_ends_as_written_out() -> None:
    """Two rollouts of two seeds in float64: G runs on from one to the next; no end is told, so that none cuts."""
    discount, trace, weight = torch.tensor([0.9, 0.5], dtype=torch.float64), 0.8, 0.25
    settings = SimpleNamespace(
        normalizes=True, discount=discount, advantage_coefficient=torch.full((2, 1), weight, dtype=torch.float64)
    )
    stream = IntrinsicAdvantages(SimpleNamespace(settings=settings), 2, E, trace, "cpu")  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    rollouts = [torch.rand(3, 2, 3 * E, dtype=torch.float64, generator=generator) for _ in range(2)]
    found = [stream.evaluate(rows) for rows in rollouts]
    for seed in range(2):
        gamma, counted, running = float(discount[seed]), list[float](), [0.0] * E
        for told, (weighted, extras) in zip(rollouts, found, strict=True):
            reward, value, following = (each[seed].view(3, E).tolist() for each in told)
            for now in reward:
                running = [gamma * g + r for g, r in zip(running, now, strict=True)]
                counted += running
            total = len(counted) + 1e-4  # The statistics begin at mean 0 and variance 1 with this weight.
            mean = sum(counted) / total
            deviation = ((sum(g * g for g in counted) + 1e-4) / total - mean**2) ** 0.5
            for e in range(E):
                scaled = [reward[t][e] / deviation for t in range(3)]
                after = [value[1][e], value[2][e], following[2][e]]
                delta = [scaled[t] + gamma * after[t] - value[t][e] for t in range(3)]
                decay = gamma * trace
                sums = [sum(decay ** (k - t) * delta[k] for k in range(t, 3)) for t in range(3)]
                for t in range(3):
                    at = t * E + e
                    assert float(extras["intrinsic_reward"][seed, at]) == pytest.approx(scaled[t], rel=1e-12)
                    assert float(weighted[seed, at]) == pytest.approx(weight * sums[t], rel=1e-11)
                    returned = float(extras["intrinsic_return"][seed, at])
                    assert returned == pytest.approx(sums[t] + value[t][e], rel=1e-11)


def by_time(memory: Rollout, name: str) -> Tensor:
    """What a batch of the whole rollout carries, ``[S, T, E]`` in order of arrival."""
    extra = memory.draw().extra[name]
    return extra.gather(1, memory._order.argsort(1)).view(len(extra), T, E)


def test_the_intrinsic_advantage_joins_that_of_the_task_which_stays_as_it_was(tmp_path: Path) -> None:
    """Over a rollout with terminations and truncations: next values are those of the next interaction there."""
    whole = ("algorithm.minibatches=1", "algorithm.batch_size=16", "algorithm.epochs=4", RAW, PLAIN, ENDING)
    without, plain = collected(tmp_path / "plain", *whole)
    parts, memory = collected(tmp_path / "new", *whole, *NOVELTY)
    stored = memory.ring.rows(0, N).transpose(0, 1).view(2, T, E, -1)
    assert (stored[..., 7] > 0)[:, :-1].any(), "an episode ends within the rollout"
    agent, following = parts.learner, stored[..., -3:].flatten(1, 2)
    with torch.no_grad():
        reward = 3 * error(agent, following).view(2, T, E)
        value, last = (
            agent.networks["intrinsic_critic"](seen)[:, 0].double().view(2, T, E)
            for seen in (stored[..., :3].flatten(1, 2), following)
        )
    running, counted = torch.zeros(2, E, dtype=torch.float64), []
    for t in range(T):
        running = 0.95 * running + reward[:, t]
        counted.append(running)
    deviation = torch.stack(counted, 1).flatten(1).std(1, correction=0)[:, None, None]
    advantage = torch.zeros(2, T + 1, E, dtype=torch.float64)
    for t in reversed(range(T)):
        after = value[:, t + 1] if t + 1 < T else last[:, t]
        delta = (reward / deviation)[:, t] + 0.95 * after - value[:, t]
        advantage[:, t] = delta + 0.95 * 0.8 * advantage[:, t + 1]
    close: dict[str, Any] = {"rtol": 2e-4, "atol": 2e-4, "check_dtype": False}
    torch.testing.assert_close(by_time(memory, "intrinsic_reward"), reward / deviation, **close)
    torch.testing.assert_close(by_time(memory, "intrinsic_return"), advantage[:, :T] + value, **close)
    assert torch.equal(by_time(memory, "return"), by_time(plain, "return"))
    memory._drawn = plain._drawn = 1
    more = by_time(memory, "advantage") - by_time(plain, "advantage")
    torch.testing.assert_close(more, 0.25 * advantage[:, :T], **close)
    assert more.abs().min(2).values.max() > 0.05, "or nothing is tried"
    parts.close()
    without.close()


def test_the_predictor_learns_the_target_which_stays() -> None:
    agent = learner(PLAIN, *NOVELTY)
    given = drawn(agent)
    batch, signals = Batch(*given[0], given[1]), dict[str, Tensor]()
    found = {each.role: each.loss(batch, {}, signals) for each in agent.program.objectives}
    assert list(found) == ["actor", "critic", "intrinsic_critic", "novelty_predictor"]
    expected = 0.5 * error(agent, given[0].next_observation).mean(1)
    torch.testing.assert_close(found["novelty_predictor"].double(), expected)
    assert torch.equal(signals["novelty_predictor/reward"], given[1]["intrinsic_reward"].mean(1))
    value = agent.networks["intrinsic_critic"](given[0].observation)[:, 0].detach()
    torch.testing.assert_close(
        found["intrinsic_critic"].detach(), ((value - given[1]["intrinsic_return"]) ** 2).mean(1)
    )
    target = {path: value.clone() for path, value in agent.networks["novelty_target"].parameters.items()}
    for _ in range(60):
        agent.update(*given)
    assert (error(agent, given[0].next_observation).mean(1) < expected).all()  # From twice as much.
    for path, value in agent.networks["novelty_target"].parameters.items():
        assert torch.equal(value, target[path])


def test_intrinsic_values_are_clipped_like_those_of_the_task_and_the_predictor_may_wait() -> None:
    agent = learner(PLAIN, NOVELTY[0].replace(" }", ", predictor_every = 2 }"), *NEW, "algorithm.value_clip=0.05")
    given = drawn(agent)
    critic = agent.program.objectives[2]
    value = agent.networks["intrinsic_critic"](given[0].observation)[:, 0]
    before, target = given[1]["intrinsic_value"], given[1]["intrinsic_return"]
    within = torch.maximum(torch.minimum(value, before + 0.05), before - 0.05)
    larger = torch.maximum((value - target) ** 2, (within - target) ** 2).mean(1)
    torch.testing.assert_close(critic.loss(Batch(*given[0], given[1]), {}, {}), larger)
    moved = []
    for _ in range(4):
        old = [value.clone() for value in agent.networks["novelty_predictor"].parameters.values()]
        agent.update(*given)
        new = agent.networks["novelty_predictor"].parameters.values()
        moved.append(not all(map(torch.equal, old, new)))
    assert moved == [False, True, False, True]


def test_transitions_outside_of_a_rollout_carry_one_step_returns() -> None:
    agent = learner(PLAIN, *NOVELTY)
    (observation, action, reward, bootstrap, following), _ = drawn(agent)
    extra = agent.default_extras(Transitions(observation, action, reward, bootstrap, following))
    assert set(extra) == set(agent.program.extras)
    value, later = (agent.networks["intrinsic_critic"](seen)[:, 0] for seen in (observation, following))
    expected = 3 * error(agent, following) + 0.95 * later - value
    torch.testing.assert_close((extra["intrinsic_return"] - value).double(), expected, rtol=1e-5, atol=1e-5)
    own = extra["return"] - extra["value"]
    torch.testing.assert_close((extra["advantage"] - own).double(), 0.25 * expected, rtol=1e-4, atol=1e-5)


def test_a_seed_among_others_explores_as_it_would_alone(tmp_path: Path) -> None:
    """A whole rollout and its updates: intrinsic rewards, their statistics, weights and optimizers."""
    together, two = collected(tmp_path / "two", *NOVELTY)
    alone, one = collected(tmp_path / "one", *NOVELTY, "seeds=[5]")
    for _ in range(4):
        for parts in (together, alone):
            parts.learner.learn([parts.collector.batch()])
    for name, value in two.tensors().items():
        if name.startswith("intrinsic/"):
            torch.testing.assert_close(value[1:], one.tensors()[name], rtol=1e-5, atol=1e-7)
    ours = alone.learner.tensors()
    for name, value in together.learner.tensors().items():
        if name.startswith(("networks/", "optimizers/")):
            torch.testing.assert_close(value[1:], ours[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    assert not torch.equal(two._evaluated["intrinsic_reward"][0], two._evaluated["intrinsic_reward"][1])
    together.close()
    alone.close()


def test_stopped_within_a_rollout_and_resumed_is_as_if_never_stopped(tmp_path: Path) -> None:
    """Resets of all networks draw the target anew too, which has no optimizer."""
    options = (*NOVELTY, "interventions.r={ use = 'full_reset', interval = 40, target = 'keep' }")
    run, parts = begin(tmp_path / "whole", *options)
    go_on(parts)
    run.close()
    halted = stopped(*begin(tmp_path / "halted", *options), at=58)
    assert result(resumed(halted)) == result(run.path)


def test_operations_are_counted_as_torch_counts_them() -> None:
    """Three passes through what learns, but none to the input of the first layer; one through the target."""
    agent = learner(PLAIN, "seeds=[0]", *NOVELTY)
    given = drawn(agent)
    with FlopCounterMode(display=False) as counter:
        agent.compute_update(*given[0], *given[1].values())
    expected = 0
    for role, network in agent.networks.items():
        sizes = [value[0, 0].numel() for value in network.parameters.values() if value.ndim == 4]
        expected += 2 * B * (sum(sizes) if role == "novelty_target" else 3 * sum(sizes) - sizes[0])
    assert counter.get_total_flops() == expected
    blueprint = tiny(*NOVELTY)
    assert [each.passes.value for each in blueprint.algorithm.evaluations()] == [3, 3, 3, 3, 1]
    assert blueprint.sound_outlines["novelty_target"].count(trainable_only=True) == 0


def test_a_fork_may_begin_to_explore_and_its_policy_is_exported_alone(tmp_path: Path) -> None:
    run, parts = begin(tmp_path / "plain", ENDING)
    go_on(parts)
    run.close()
    fork = launch.fork(run.path, (*NOVELTY, "training.env_steps=150"), None, 0, tmp_path / "fork", quiet=True).path
    metrics = {name for row in rows(fork) if row["type"] == "metrics" for name in row["metrics"]}
    assert "novelty_predictor/reward" in metrics
    (row, _) = measure(fork, [GradientNorm()]).values()
    read = {name.split("/")[1] for name in row}
    assert read == {"actor", "critic", "intrinsic_critic", "novelty_predictor"}, "the target has no gradient"
    card = export(fork, "torch", None, 5, tmp_path / "policy")
    held = FORMATS["torch"].load(tmp_path / "policy" / card["file"])
    assert held(torch.zeros(4, 3)).shape == (4, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (NEW, "it belongs to 'novelty', which is not declared"),
        (NOVELTY[:1], "needs a network 'intrinsic_critic', for 'novelty'"),
        ((*NOVELTY, "networks.novelty_target.trunk={ use = 'mlp', width = 7 }"),
         r"predicts what 'novelty_target' gives, \[7\], and gives \[6\] itself"),
        ((*NOVELTY, "optimizers.novelty_target={ kind = 'adam' }"), "trains nothing named 'novelty_target'"),
        ((*NOVELTY, "networks.actor.trunk=[{ kind = 'gru', width = 6 }]",
          "networks.critic.trunk=[{ kind = 'gru', width = 6 }]"), "networks read single observations"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(BlueprintError, match=said):
        tiny(*options)
