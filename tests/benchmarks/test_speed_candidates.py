"""Every candidate of ``python -m benchmarks.speed`` at toy sizes: same networks, same work, and each runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmarks.speed.candidate import FLOOR, Candidate, Subject
from benchmarks.speed.command import WORKLOADS
from benchmarks.speed.ours.environments import drawn
from benchmarks.speed.peers.native import Alone, Batched, Rolled, in_episodes
from benchmarks.speed.worker import measure
from benchmarks.speed.workloads.agents import Deciding, Learning, Looping
from benchmarks.speed.workloads.base import Workload
from benchmarks.speed.workloads.environments import Control
from composer.environments import DmControl
from composer.training.assemble.new_run import _parameter_table as parameter_table
from composer.training.compile.capture import Choice

NAMED: dict[str, Any] = {workload.name: workload for workload in WORKLOADS}
SMALL = ("algorithm.batch_size=8", "algorithm.warmup_interactions=10")
MLP: Learning = replace(
    NAMED["mlp"], title="toy MLP", hidden=(8, 8), rows=600,
    overrides=(*SMALL, "networks.actor.trunk.width=8", "networks.critic.trunk.width=8"),
)  # fmt: skip
SIMBA: Learning = replace(
    NAMED["simba"], title="toy SimBa", rows=600,
    overrides=(*SMALL, "networks.actor.trunk.width=8", "networks.critic.trunk.width=12"),
)  # fmt: skip
PPO: Learning = replace(
    NAMED["ppo"],
    overrides=(*NAMED["ppo"].overrides, "algorithm.rollout_interactions=4", "algorithm.minibatches=2",
               "algorithm.batch_size=16", "algorithm.epochs=3"),
)  # fmt: skip
FRAMES = 'environment={ kind = "atari", game = "pong", height = 44, width = 44 }'
NATURE: Learning = replace(NAMED["dqn-nature"], rows=40, overrides=("algorithm.batch_size=4", FRAMES))
IMPALA: Learning = replace(
    NAMED["dqn-impala"],
    rows=40,
    overrides=("algorithm.batch_size=4", FRAMES, 'networks.value.trunk={ use = "impala", width = 4, features = 16 }'),
)
MINATAR: Learning = replace(NAMED["dqn-minatar"], rows=40, overrides=("algorithm.batch_size=4",))
CROSSQ: Learning = replace(
    NAMED["crossq"], hidden=(8, 8), rows=600,
    overrides=(*SMALL, "networks.actor.trunk.width=8", "networks.critic.trunk.width=8"),
)  # fmt: skip
LEARNING = {"mlp": MLP, "simba": SIMBA, "ppo": PPO, "dqn-nature": NATURE, "dqn-impala": IMPALA, "dqn-minatar": MINATAR}
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Other libraries' imports warn.


def subjects(workload: Workload, names: Sequence[str], seeds: Sequence[int] = (1,)) -> list[Subject]:
    """The candidates whose names begin with one of ``names``, none compiled."""
    candidates = [
        candidate
        for candidate in workload.candidates(seeds)
        if candidate.name.startswith(tuple(names)) and not candidate.compiles
    ]
    for candidate in candidates:
        for module in candidate.needs:
            pytest.importorskip(module)
    return [workload.build(candidate) for candidate in candidates]


@pytest.mark.parametrize("name", LEARNING)
def test_candidates_learn_the_same_network(name: str) -> None:
    """Alone proves that compared libraries train networks with equal parameter counts, and that a lap measures each."""
    workload = LEARNING[name]
    ours, *theirs = subjects(workload, ["composer", "stable"])
    assert theirs and all(their.parameters() == ours.parameters() for their in theirs)
    blueprint = workload.load()
    for role, entry in parameter_table(blueprint).items():
        assert ours.parameters()[role] == entry["count"]
    for subject in (ours, *theirs):
        lap = measure(subject, 0.0)
        assert lap.units == subject.units and lap.seconds > 0 and lap.peak >= lap.held > 0


@pytest.mark.slow
@pytest.mark.parametrize("workload", [MLP, PPO, CROSSQ], ids=["mlp", "ppo", "crossq"])
def test_libraries_of_the_extra_peers_learn_the_same_network(workload: Learning) -> None:
    """SBX, TorchRL and stable-baselines3's contrib, where installed, train a network with our parameters."""
    ours, *theirs = subjects(workload, ["composer", "SBX", "TorchRL", "stable-baselines3 contrib"])
    for their in theirs:
        assert their.parameters() == ours.parameters()
        their.call()
        their.settle()


@pytest.mark.slow
def test_sbx_builds_simba_at_its_published_size() -> None:
    """Alone holds SBX's SimBa, where installed, to the published size."""
    (theirs,) = subjects(NAMED["simba"], ["SBX"])
    table = parameter_table(NAMED["simba"].load())
    assert {role: theirs.parameters()[role] for role in table} == {role: e["count"] for role, e in table.items()}


@pytest.mark.parametrize("name", LEARNING)
def test_the_floor_counts_what_an_update_computes(name: str) -> None:
    """Of one seed and of three: an agent's update is the unit."""
    floor, *ours = subjects(LEARNING[name], [FLOOR.name, "composer"], seeds=(1,))
    assert len({floor.flops(), *(subject.flops() for subject in ours)}) == 1 and floor.flops() > 0
    floor.call()


def test_three_seeds_are_three_units_of_the_same_work() -> None:
    """Rates per seed of a stacked program count every seed once."""
    one, three = subjects(replace(SIMBA, most_seeds=3), ["composer"], seeds=(1, 3))
    assert (one.units, three.units) == (1, 3) and one.flops() == three.flops()
    assert one.parameters() == three.parameters()
    (phase,) = subjects(PPO, ["composer"])
    assert phase.units == 3 * 2


def test_a_peer_computes_more_only_by_the_gradient_it_wastes() -> None:
    """It also differentiates the loss of the actor by the weights of the critics."""
    batch, hidden, inputs, critics = 8, 8, 24 + 6, 2
    wasted = critics * 2 * batch * (inputs * hidden + hidden * hidden + hidden)
    ours, theirs = subjects(MLP, ["composer", "stable"])
    assert theirs.flops() - ours.flops() == wasted


def test_peers_of_other_algorithms_compute_the_same() -> None:
    """PPO and DQN of the compared libraries take as many operations per update as ours."""
    for workload in (PPO, NATURE):
        ours, theirs = subjects(workload, ["composer", "stable"])
        assert theirs.flops() == ours.flops()


def test_compiled_candidate_runs_the_compiled_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not compiled here, which takes long: what the learner was asked for is looked at."""
    asked: list[Choice] = []
    monkeypatch.setattr("benchmarks.speed.ours.learning.keep_programs", lambda *_: None)  # Captures once more.
    monkeypatch.setattr(
        "composer.training.learner.capture", lambda function, choice, *rest: asked.append(choice) or function
    )
    for candidate in MLP.candidates((1,)):
        if candidate.role == "ours":
            MLP.build(candidate)
    assert [choice.compiled for choice in asked] == [False, True]


@pytest.mark.parametrize("name", ["act-mlp", "act-simba"])
def test_policies_act_by_the_same_network(name: str) -> None:
    """Acting is compared on networks with equal parameter counts."""
    workload: Deciding = NAMED[name]
    ours, theirs = subjects(workload, ["composer", "stable"])
    assert ours.parameters() == theirs.parameters()
    assert measure(ours, 0.0).units == measure(theirs, 0.0).units == 1


def test_loops_make_one_update_a_decision() -> None:
    """Alone proves that our loop and stable-baselines3's do equal work: as many interactions, as many updates."""
    pytest.importorskip("shimmy")
    toy: Looping = replace(
        NAMED["loop-cartpole"], hidden=(8, 8), rows=100,
        overrides=(*NAMED["loop-cartpole"].overrides, *SMALL, "networks.actor.trunk.width=8",
                   "networks.critic.trunk.width=8"),
    )  # fmt: skip
    ours, theirs = (cast(Any, subject) for subject in subjects(toy, ["composer", "stable"]))
    assert ours.parameters() == theirs.parameters()
    for _ in range(3):
        ours.call()
        theirs.call()
    ours.settle()
    clock, model = ours._session.clock, theirs._model
    # Past the first update, which building ran up to. Ours follows the last of 10 random decisions, theirs the next.
    assert (clock.interactions, clock.updates) == (13, 4)
    assert (model.num_timesteps, model._n_updates) == (14, 4)
    assert clock.env_steps == 26


@pytest.mark.parametrize(("name", "units"), [("atari-1", [1, 1]), ("atari-8", [8, 8])])
def test_games_step(name: str, units: list[int]) -> None:
    """Every way of stepping Atari that is compared steps as many games as it claims."""
    assert_they_step(subjects(NAMED[name], [""]), units)


def test_controlled_environments_step() -> None:
    """Every way of stepping dm_control that is compared steps as many environments as it claims."""
    assert_they_step(subjects(NAMED["control-cartpole"], ["composer", "dm_control"]), [1, 1, 8, 8, 1])
    assert_they_step(subjects(NAMED["control-cartpole"], ["mj_step", "mujoco"]), [1, 8, 8, 8, 8])


def assert_they_step(stepped: Sequence[Subject], units: Sequence[int]) -> None:
    for subject, expected in zip(stepped, units, strict=True):
        assert measure(subject, 0.0).units == subject.units == expected
        assert not subject.parameters() and not subject.flops()


@pytest.mark.parametrize("name", ["control-walker", "control-cartpole"])
def test_native_candidates_step_what_the_adapter_steps(name: str) -> None:
    """From the same starts to the same places; ``mujoco.rollout``, without warm starts, nearly."""
    workload: Control = NAMED[name]
    one, rolled, batched = Alone(workload), Rolled(workload, 2), Batched(workload, 2)
    declared = DmControl(task=workload.task)
    actions = drawn(8, declared.info.action_size)[:20]
    expected, measured = [], []
    for seed in range(8):
        adapted: Any = declared.single()
        adapted.reset(seed)
        for action in actions[:, seed]:
            adapted.step(action)
        expected.append(adapted._physics.data.qpos.copy())
        measured.append(adapted._physics.data.xpos.copy())
    for native in (one, rolled, batched):
        native.begin()
        for action in actions:
            native.step(action[0] if native is one else action)
    assert one.data.qpos.tolist() == expected[0].tolist()
    np.testing.assert_array_equal(batched.stepper.qpos, expected)
    np.testing.assert_array_equal(batched.stepper.xpos, measured)
    reached = rolled.states[:, 1 : 1 + len(expected[0])]
    np.testing.assert_allclose(reached, expected, rtol=0, atol=1e-9)


def test_native_candidates_begin_again_after_an_episode() -> None:
    """MuJoCo's own steppers reset after an episode, as ours do."""
    done: list[str] = []
    starts = SimpleNamespace(limit=2)
    step = in_episodes(
        cast(
            Any, SimpleNamespace(starts=starts, begin=lambda: done.append("begin"), step=lambda _: done.append("step"))
        )
    )
    for _ in range(3):
        step(np.zeros(1, np.float32))
    assert done == ["begin", "step", "step", "begin", "step"]


def test_native_candidates_refuse_actions_that_would_need_scaling() -> None:
    """A task whose actions are not in [-1, 1] is refused, not stepped with other actions."""
    with pytest.raises(ValueError, match="quadruped-walk has bounds of its own"):
        Alone(replace(NAMED["control-walker"], task="quadruped-walk"))


def test_an_absent_library_is_named_with_what_installs_it() -> None:
    """Of a library that is not installed the table says how to install it."""
    candidate = Candidate("x", "x:y", needs=("json", "no_such_module"), install="no-such>=1")
    assert candidate.absent() == "not installed: pip install 'no-such>=1'"
    assert replace(candidate, needs=("json",)).absent() is None


def test_shipped_workloads_are_the_published_sizes() -> None:
    """Alone holds the shipped workloads to their papers' parameter counts."""
    counts = []
    for name in ("mlp", "simba", "dqn-nature", "dqn-impala"):
        blueprint = NAMED[name].load()
        table = parameter_table(blueprint)
        counts.append({role: entry["count"] for role, entry in table.items()})
    # 18 actions read 512 and 256 features.
    assert counts == [
        {"actor": 75_276, "critic": 147_970},
        {"actor": 136_972, "critic": 4_218_881},
        {"value": 1_684_128 + 513 * 18},
        {"value": 1_089_232 + 257 * 18},
    ]


def test_every_shipped_workload_has_a_blueprint_or_an_environment_that_loads() -> None:
    """Alone loads every workload that `make bench` runs."""
    for workload in WORKLOADS:
        if hasattr(workload, "load"):
            assert workload.load().seeds == (0,)
