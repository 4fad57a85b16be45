"""Guards of speed that count and time nothing: operations, gathers, allocations, graphs, waits for the host.

A change that makes an update dearer shows here, whatever else the machine does. Figures are of torch 2.13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_dqn
import tiny_rollouts
import torch
from dispatched import Counted, Graphs, NoHost
from torch.profiler import ProfilerActivity, profile

from composer.blueprint import load
from composer.blueprint.syntax.extends import shipped
from composer.networks.stacked import FEW
from composer.replay.sampling import Uniform
from composer.replay.vectors import VectorRing
from composer.training.collect.build import make_ring
from composer.training.collect.off_policy import ReplayMemory
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

EAGER, COMPILED = Choice(False, "a test"), Choice(True, "a test")
ROWS, BATCH = 64, 8


def sac(seeds: int, choice: Choice = EAGER) -> tuple[Learner, ReplayMemory]:
    """SAC with the MLP that is shipped, of another width, over rows of noise."""
    widths = [f"networks.{role}.trunk.width=8" for role in ("actor", "critic")]
    changes = [f"seeds={list(range(seeds))}", f"algorithm.batch_size={BATCH}", f"replay.capacity={ROWS}", *widths]
    blueprint = load(shipped()["dmc/sac_mlp"], changes).blueprint
    info = blueprint.environment.info
    agent = Learner(blueprint.agent, "cpu", choice)
    ring = make_ring(info, seeds, 1, ROWS, "cpu")
    rows = torch.randn(ROWS, seeds, 2 * 24 + 6 + 3)
    rows[..., -26:-24] = 0  # Nothing ends.
    ring.restore(0, rows)
    return agent, ReplayMemory(ring, Uniform(), 0, agent)


def learn(agent: Learner, memory: ReplayMemory) -> None:
    agent.update(*memory.draw())
    memory.learned()


def counted(call: Callable[[], object]) -> Counted:
    with Counted() as seen:
        call()
    return seen


def turns(members: int) -> int:
    """Calls of a network in place of one: few members are called one after the other, more are mapped over."""
    return members if members <= FEW else 1


@pytest.mark.parametrize("seeds", [1, 2, 4, 5])
def test_an_eager_update_of_sac_makes_so_many_operations(seeds: int) -> None:
    agent, memory = sac(seeds)
    batch = memory.draw()
    agent.update(*batch)
    found = counted(lambda: agent.update(*batch)).operations
    products = sum(found[name] for name in ("mm", "addmm", "bmm", "baddbmm"))
    # Critic: actor 4, target 3, critic 3 forward and 5 back (no gradient of its input). Actor: actor 4, critic 3, back
    # through the critic 3 (none of its weights), and 4 of weights and 3 of inputs of the actor. There are two critics.
    actor, critic = 4 + 4 + 4 + 3, 3 + 3 + 5 + 3 + 3
    assert products == actor * turns(seeds) + critic * turns(2 * seeds)
    assert found["normal_"] == 2 * seeds
    # 229 of one seed, 355 of two, 368 of four, 422 of more: the step of few seeds is a call of a fused kernel each.
    assert sum(found.values()) - found["normal_"] <= {1: 233, 5: 426}.get(seeds, 372)


def test_seeds_add_no_operation_but_their_draws() -> None:
    """Where they are mapped over."""
    totals = []
    for seeds in (FEW + 1, FEW + 3):
        agent, memory = sac(seeds)
        learn(agent, memory)
        found = counted(lambda a=agent, m=memory: learn(a, m)).operations  # type: ignore[misc]
        totals.append(sum(found.values()) - found["normal_"] - found["randint"])
    assert totals[0] == totals[1]


@pytest.mark.parametrize(("n_step", "gathers"), [(1, 1), (3, 4)])
def test_a_sample_is_one_gather_a_step_of_its_window(n_step: int, gathers: int) -> None:
    """And one more, where there are several, for what the last one led to."""
    ring = VectorRing(2, 1, ROWS, 5, 2)
    ring.restore(0, torch.zeros(ROWS, 2, 2 * 5 + 2 + 3))
    generators = [torch.Generator() for _ in range(2)]
    found = counted(lambda: ring.sample(BATCH, n_step, torch.ones(2), generators)).operations
    assert found["index_select"] == gathers
    assert not {"index", "gather", "take", "clone", "copy_", "_to_copy"} & set(found)


def allocations(call: Callable[[], object]) -> tuple[int, int]:
    """How often memory was taken, and bytes that were kept."""
    # One cycle is recorded. Without ``acc_events`` torch 2.11 warns that it would forget earlier ones.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        call()
    sizes = [event.nbytes() for event in memory_events(seen)]
    return sum(size > 0 for size in sizes), sum(sizes)


def memory_events(seen: profile) -> Iterator[torch._C._autograd._KinetoEvent]:
    results = seen.profiler.kineto_results if seen.profiler else None
    assert results is not None
    yield from (event for event in results.events() if event.name() == "[memory]")


def flat(agent: Learner, memory: ReplayMemory) -> int:
    """How often an update takes memory: twice as many updates take it twice as often and keep as little."""

    def several(count: int) -> None:
        for _ in range(count):
            learn(agent, memory)

    several(5)
    taken, kept = allocations(lambda: several(5))
    several(50)
    assert allocations(lambda: several(10)) == (2 * taken, kept)
    return taken // 5


def test_eager_updates_keep_no_memory_and_take_it_equally_often() -> None:
    # 403: one for nearly every operation.
    assert flat(*sac(1)) <= 410


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of torch's own modules, when inductor is first imported.
def test_a_compiled_update_is_few_kernels_takes_little_memory_and_is_compiled_once() -> None:
    """Alone counts kernels and allocations of compiled code."""
    from torch._dynamo.utils import counters
    from torch._inductor import metrics

    torch.compiler.reset()
    metrics.reset()
    counters.clear()
    agent, memory = sac(1, COMPILED)
    taken, kernels = flat(agent, memory), metrics.generated_kernel_count
    # 59, where the eager update takes memory 403 times.
    assert taken <= 65
    agent.updates.add_(1_000)
    agent.discount.mul_(0.9)
    learn(agent, memory)
    # 94 loops beside the 32 products: a member's bias and relu are its own, in a product or beside it. When members
    # were one stack there were 69, which took more than twice as long (docs/decisions/0041-kernels.md).
    assert 0 < kernels <= 98 and metrics.generated_kernel_count == kernels
    assert not counters["graph_break"] and counters["stats"]["unique_graphs"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("changes", [(), (tiny_dqn.C51,), tiny_dqn.RAINBOW], ids=["mean", "c51", "rainbow"])
def test_one_graph_serves_all_updates_of_dqn(changes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves it for DQN: expected values, C51, Rainbow."""
    graphs = Graphs(monkeypatch)
    for rate in (1e-3, 3e-4):
        agent = tiny_dqn.learner(*changes, f"optimizers.value.learning_rate={rate}", choice=COMPILED)
        for seed in range(10):  # The target network is copied every seventh update.
            agent.update(*tiny_dqn.batch(agent, seed))
            agent.updates.add_(seed)
    assert len(set(graphs.graphs)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("changes", tiny_rollouts.BOTH.values(), ids=tiny_rollouts.BOTH)
def test_one_graph_serves_all_updates_of_ppo(
    changes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone proves it for PPO, with numbers and with choices."""
    graphs = Graphs(monkeypatch)
    for clip in (0.2, 0.1):
        parts, rollout = tiny_rollouts.collected(
            tmp_path, *changes, f"algorithm.clip_ratio={clip}", "compute.compile=always"
        )
        for _ in range(6):  # A rollout is four updates.
            parts.learner.update(*rollout.draw())
            rollout.learned()
        parts.close()
    assert len(set(graphs.graphs)) == 1


@pytest.mark.parametrize("changes", [(), tiny_dqn.RAINBOW], ids=["mean", "rainbow"])
def test_dqn_never_waits_for_the_host(changes: tuple[str, ...]) -> None:
    """Neither drawing, by priorities too, nor learning. Choosing does on a CPU, where ``one_hot`` checks its input."""
    agent, blueprint = tiny_dqn.learner(*changes), tiny_dqn.tiny(*changes)
    info = blueprint.environment.info
    memory = ReplayMemory(make_ring(info, 1, 1, ROWS, "cpu"), blueprint.replay.sampling, 0, agent)
    flags = torch.zeros(1, 1, dtype=torch.bool)
    for time in range(ROWS):
        seen = torch.full((1, 1, *info.observation), time, dtype=torch.uint8 if info.pictures else torch.float32)
        memory.add(seen, torch.eye(info.action_size)[:1][None], torch.zeros(1, 1), flags, flags, seen)
    with NoHost():
        for _ in range(2):
            learn(agent, memory)


@pytest.mark.parametrize("changes", tiny_rollouts.BOTH.values(), ids=tiny_rollouts.BOTH)
def test_ppo_never_waits_for_the_host(changes: tuple[str, ...], tmp_path: Path) -> None:
    """Neither judging a rollout nor learning from it."""
    parts, rollout = tiny_rollouts.collected(tmp_path, *changes)
    with NoHost():
        for _ in range(6):
            parts.learner.update(*rollout.draw())
            rollout.learned()
    parts.close()
