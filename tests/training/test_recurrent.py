"""Networks with a memory in PPO: what a rollout remembers, resume, seeds side by side, evaluations, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_rollouts import CHOICES, begin, collected, learner, tiny
from tiny_runs import go_on, result, resumed, stopped
from torch import Tensor

from composer.algorithms.on_policy import memory_name
from composer.blueprint import BlueprintError, load
from composer.networks.sequences import Sequences
from composer.training.collect.recurrent_rollout import RecurrentRollout
from composer.training.export.export import export
from composer.training.export.formats import ExportFailed
from composer.training.learner import Learner

TINY_SAC = Path(__file__).parents[1] / "tiny.toml"
T, E = 8, 4
MEMORY = (
    'environment={ kind = "test/drift", copies = 4, limit = 5, edge = 0.6 }',
    "algorithm.batch_size=16",
    'networks.actor.trunk=[{ kind = "linear", width = 6 }, { kind = "gru", width = 5 }, { kind = "tanh" }]',
    'networks.critic.trunk={ kind = "lstm", width = 4 }',
    "algorithm.normalize_advantages=false",
)


def one_by_one(agent: Learner, role: str, seen: Tensor, starts: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and memories of a network that reads ``seen [S, time, E, d]`` moment by moment, from nothing."""
    network = agent.networks[role]
    memory = torch.zeros(seen.shape[0], seen.shape[2], network.memory_size)
    outputs, memories = [], []
    for moment, begins in zip(seen.unbind(1), starts.unbind(1), strict=True):
        output, after = network(Sequences(moment[:, :, None], begins[..., None], memory))
        memory = after[:, 0, :, 0]
        outputs.append(output)
        memories.append(memory)
    return outputs, memories


def test_advantages_and_densities_are_those_of_reading_every_episode_from_its_beginning(tmp_path: Path) -> None:
    """Closed form over two rollouts: the second begins with the memory of the first, within episodes."""
    parts, rollout = collected(tmp_path, *MEMORY)
    assert isinstance(rollout, RecurrentRollout)
    agent, seen, rows = parts.learner, [], []
    for number in range(2):
        for at in range(T * number, T * number + T * number):
            parts.collector.interact(at)
        seen.append(rollout._kept["seen"].view(2, T, E, 3).clone())
        rows.append(rollout.ring.rows(T * E * number, T * E * (number + 1)).transpose(0, 1).view(2, T, E, -1))
        batches = [rollout.draw() for _ in range(4)]
    held, read = torch.cat(rows, 1), torch.cat(seen, 1)
    reward, terminated, ended = held[..., 5:8].unbind(-1)
    starts = torch.cat([torch.ones(2, 1, E), ended[:, :-1]], 1) > 0
    assert (starts.sum(1) > 2).all() and not starts[:, T].all() and terminated.any() and (ended > terminated).any()
    with torch.no_grad():
        outputs, memories = one_by_one(agent, "critic", read, starts)
        value = torch.stack([output[:, 0, :, 0] for output in outputs], 1)[:, T:]
        final = agent.normalised(held[..., 8:].flatten(1, 2)).view(2, 2 * T, E, 3)
        following = [
            agent.networks["critic"](Sequences(final[:, at, :, None], torch.zeros(2, E, 1) > 0, memories[at]))[0][
                :, 0, :, 0
            ]
            for at in range(T, 2 * T)
        ]
    advantage, later = torch.zeros(2, T, E), torch.zeros(2, E)
    for at in reversed(range(T)):
        over = ended[:, T + at]
        beyond = following[at] if at == T - 1 else torch.where(over > 0, following[at], value[:, at + 1])
        delta = reward[:, T + at] + 0.9 * (1 - terminated[:, T + at]) * beyond - value[:, at]
        advantage[:, at] = later = delta + 0.9 * 0.8 * (1 - over) * later
    torch.testing.assert_close(rollout._evaluated["value"].view(2, T, E), value)
    torch.testing.assert_close(rollout._evaluated["advantage"].view(2, T, E), advantage)
    for drawn in batches:  # Of both networks: the memory before the rollout leads to what acted.
        batch = agent.batch(drawn.transitions, drawn.extra, is_normalised=True)
        with torch.no_grad():
            raw = agent.program._read("actor", agent.networks["actor"], batch)  # type: ignore[attr-defined]
            density = agent.program._distribution.log_density(raw, batch.action)  # type: ignore[attr-defined]
        torch.testing.assert_close(density, drawn.extra["log_density"])
        assert drawn.extra[memory_name("actor")].shape == (2, 2, 5) and drawn.extra[memory_name("critic")].any()
    parts.close()


def test_a_minibatch_holds_whole_sequences_and_an_epoch_each_of_them_once(tmp_path: Path) -> None:
    parts, rollout = collected(tmp_path, *MEMORY)
    held = rollout.ring.rows(0, T * E).transpose(0, 1).view(2, T, E, -1)[..., 5]
    found = torch.cat([rollout.draw().transitions.reward.view(2, 2, T) for _ in range(2)], 1)
    for seed in range(2):
        assert sorted(found[seed].tolist()) == sorted(held[seed].T.tolist())
    parts.close()


def test_stopped_within_a_rollout_and_resumed_is_as_if_never_stopped(tmp_path: Path) -> None:
    """The hidden states are part of a checkpoint."""
    opened, parts = begin(tmp_path / "whole", *MEMORY)
    go_on(parts)
    opened.close()
    run = stopped(*begin(tmp_path / "stopped", *MEMORY), at=44)
    assert result(resumed(run)) == result(opened.path)


@pytest.mark.slow
def test_a_seed_among_others_runs_as_it_would_alone(tmp_path: Path) -> None:
    """Slow: it trains two runs, one of two seeds."""
    both, one = begin(tmp_path / "both", *MEMORY), begin(tmp_path / "one", "seeds=[5]", *MEMORY)
    for run, parts in (both, one):
        go_on(parts)
        run.close()
    together, alone = both[1].learner.tensors(), one[1].learner.tensors()
    for name, value in alone.items():
        if name != "signals":
            torch.testing.assert_close(value[0], together[name][1], rtol=1e-3, atol=1e-4)


def test_an_evaluation_carries_the_memory_and_begins_without_one() -> None:
    agent = learner(*MEMORY, *CHOICES[1:], 'environment.kind="test/choice"')
    seen = torch.randn(2, 7, 3, 3, generator=torch.Generator().manual_seed(1))
    starts = torch.zeros(2, 7, 3) > 0
    outputs, _ = one_by_one(agent, "actor", seen, starts)
    for number in range(2):
        agent.policy.begin_evaluation(number)
        for moment, output in zip(seen.unbind(1), outputs, strict=True):
            assert torch.equal(agent.policy.evaluate(moment).argmax(-1), output[:, 0, :, 0].argmax(-1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('networks.critic.trunk={ kind = "linear", width = 4 }', "one of PPO's networks has a memory, the other none"),
        ("environment.copies=3", "learn from whole sequences, one per copy: 3 copies cannot be dealt into 2"),
    ],
)
def test_what_cannot_be_is_refused(change: str, message: str) -> None:
    with pytest.raises(BlueprintError) as refused:
        tiny(*MEMORY, change)
    assert message in str(refused.value)


def test_an_algorithm_that_learns_from_single_transitions_carries_no_memory() -> None:
    with pytest.raises(BlueprintError, match=r"actor.trunk: SAC learns from single transitions and carries no"):
        load(TINY_SAC, ['networks.actor.trunk={ kind = "gru", width = 4 }'])


def test_what_reads_single_observations_is_refused(tmp_path: Path) -> None:
    where = '{ kind = "last_layers", of = "critic" }'
    inject = (
        f'interventions.more={{ when = {{ kind = "at", steps = [60] }}, where = {where}, do = {{ kind = "inject" }} }}'
    )
    with pytest.raises(BlueprintError, match="'inject' changes modules, and those of actor and critic carry a memory"):
        tiny(*MEMORY, inject)
    run, parts = begin(tmp_path, *MEMORY)
    parts.collector.interact(0)
    parts.save()
    run.close()
    parts.close()
    with pytest.raises(ExportFailed, match="carries a memory through an episode"):
        export(run.path, checkpoint=None)
