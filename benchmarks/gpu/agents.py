"""The agents of the suite: shipped blueprints, one for each family of algorithms and each head of a critic.

Legend: S seeds, B batch. Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from benchmarks.gpu.pieces import Piece
from composer.blueprint import load
from composer.blueprint.syntax.extends import shipped
from composer.replay.transitions import Minibatch, Transitions
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

if TYPE_CHECKING:
    from benchmarks.gpu.pieces import Findings
    from benchmarks.gpu.setting import Setting
    from composer.blueprint import Blueprint
    from composer.environments.interface import EnvironmentInfo


@dataclass(frozen=True)
class Case:
    """A shipped blueprint under overrides."""

    name: str
    blueprint: str
    overrides: tuple[str, ...] = ()
    toy: tuple[str, ...] = ()
    """More overrides at toy scale."""

    def load(self, setting: Setting, seeds: int = 2, *more: str) -> Blueprint:
        """The blueprint, without a check of its memory: no replay is made."""
        overrides = [*self.all_overrides(setting, seeds), *more]
        return load(shipped()[self.blueprint], overrides, is_to_run=False).blueprint

    def all_overrides(self, setting: Setting, seeds: int) -> list[str]:
        """The declared overrides, with so many seeds and without tracking."""
        own = [f"seeds={list(range(seeds))}", 'tracking={ kind = "none" }']
        return [*self.overrides, *setting.sized((), self.toy), *own]


class Agent(NamedTuple):
    """A learner with its blueprint and environment."""

    blueprint: Blueprint
    info: EnvironmentInfo
    learner: Learner


_SMALL: Final = ("algorithm.batch_size=8",)
_PAIR: Final = (*_SMALL, "networks.actor.trunk.width=8", "networks.critic.trunk.width=12")
_V2: Final = (
    *_SMALL,
    "networks.actor.trunk.width=8",
    "networks.actor.head.hidden.width=8",
    'networks.critic.trunk=[{ use = "simba_v2", width = 12, blocks = 1 }, { use = "simba_v2_hidden", width = 12 }]',
)
_PIXELS: Final = (*_SMALL, "networks.value.trunk.width=4", "networks.value.trunk.features=16")
_RAINBOW: Final = (
    *_SMALL,
    'networks.value.trunk={ use = "data_efficient_convolutions" }',
    "networks.value.head.width=16",
)
_ROLLOUT: Final = ("environment.copies=1", "algorithm.rollout_interactions=16", "algorithm.minibatches=2")

_TDMPC2: Final = (
    *_SMALL,
    'networks.encoder.trunk={ use = "tdmpc2_latent", width = 8, depth = 1, latent = 16 }',
    'networks.dynamics.trunk={ use = "tdmpc2_latent", width = 8, latent = 16 }',
    *(f"networks.{role}.trunk.width=8" for role in ("reward", "actor", "critic")),
)
_TD7: Final = (
    *_SMALL,
    *(f"networks.{role}.trunk.width=8" for role in ("state_encoder", "state_action_encoder", "actor", "critic")),
)
_PQN: Final = (
    "algorithm.batch_size=8",
    "environment.copies=4",
    "algorithm.rollout_interactions=4",
    "algorithm.minibatches=2",
    "networks.value.trunk.times=1",
)
_REPRESENTATION: Final = (
    'networks.representation.trunk=[{{ use = "mlp", width = {width} }}, {{ kind = "linear", width = 2, bias = false }}]'
)
_METRA: Final = (
    *_SMALL,
    _REPRESENTATION.format(width=8),
    'networks.actor.trunk={ use = "metra_actor", width = 8 }',
    'networks.critic.trunk={ use = "metra_critic", width = 8 }',
)
_TASKS: Final = """environment={ kind = "multitask", action_repeat = 2, pad = true, tasks = [
    { kind = "dm_control", task = "cartpole-swingup" }, { kind = "dm_control", task = "pendulum-swingup" }] }"""
_BRC: Final = (*_PAIR, "networks.actor.trunk.blocks=1", "networks.critic.trunk.blocks=1")
_GRU: Final = (
    "algorithm.batch_size=8",
    "environment.copies=2",
    "algorithm.rollout_interactions=4",
    "algorithm.minibatches=1",
)


def _sac(name: str, head: str) -> Case:
    return Case(f"sac, {name}", "dmc/sac_mlp", (f"networks.critic.head={head}",), _PAIR)


MLP: Final = Case("sac, scalar", "dmc/sac_mlp", (), _PAIR)
SIMBA: Final = Case("sac, SimBa", "dmc/sac_simba", (), _PAIR)
SIMBA_V2: Final = Case("sac, SimbaV2", "dmc/simba_v2", (), _V2)
NATURE: Final = Case("dqn, Nature", "atari/dqn", (), _PIXELS)
PQN: Final = Case("pqn", "classic/cartpole_pqn", (), _PQN)
SUPERVISED: Final = Case("supervised", "warm_start/digits", (), (*_SMALL, "networks.model.trunk.width=8"))

GROUPS: Final = {
    "heads": (
        MLP,
        _sac("c51", '{ use = "c51", values = "one" }'),
        _sac("two_hot", '{ kind = "categorical_value", atoms = 51, low = -10.0, high = 10.0, projection = "two_hot" }'),
        _sac("hl_gauss", '{ use = "hl_gauss", values = "one" }'),
        _sac("quantile", '{ use = "bro_value" }'),
        _sac("implicit_quantile", '{ kind = "implicit_quantile" }'),
    ),
    "vectors": (
        SIMBA,
        SIMBA_V2,
        Case("td3", "dmc/td3", (), _PAIR),
        Case("ddpg, SimBa", "dmc/ddpg_simba", (), _PAIR),
        Case("td7", "dmc/td7", (), _TD7),
        Case("ppo, SimBa", "dmc/ppo_simba", (), (*_PAIR, *_ROLLOUT)),
    ),
    "others": (NATURE, Case("dqn, Rainbow", "atari/rainbow", (), _RAINBOW), PQN, SUPERVISED),
    "offline": (
        Case("iql", "offline/iql", (), (*_PAIR, "networks.value.trunk.width=8")),
        Case("td3, behaviour cloning", "offline/td3_bc", (), _PAIR),
    ),
    "worlds": (
        Case("td-mpc2", "dmc/tdmpc2", (), _TDMPC2),
        Case("mr.q", "dmc/mr_q", (), (*_SMALL, "values={ width = 8, action_width = 8, outputs = 74 }")),
        # Without the last bias of its representation: it cancels, so that Adam steps by the sign of rounding.
        Case("metra", "point/metra", (_REPRESENTATION.format(width=1024),), _METRA),
        # A program is unrolled over all moments: those of the published length take long to compile.
        Case("dreamer", "dmc/dreamer_v3", ("algorithm.sequence=8", "algorithm.horizon=5"), ("algorithm.batch_size=2",)),
    ),
    "critics": (
        Case("xqc", "dmc/xqc", (), _PAIR),
        Case("CrossQ, weight norm", "dmc/crossq_wn", (), _PAIR),
        Case("flash_sac", "dmc/flash_sac", (), _PAIR),
        Case("brc", "dmc/brc", (_TASKS,), _BRC),
    ),
    "memory": (Case("ppo, GRU", "classic/cartpole_memory", (), _GRU),),
}
"""One agent of each family, and SAC with each critic head, in groups that compile within a piece's time."""
CASES: Final = tuple(case for group in GROUPS.values() for case in group)


def grouped(name: str, shows: str, run: Callable[[tuple[Case, ...], Setting], Findings]) -> list[Piece]:
    """A piece for each group of agents."""
    return [Piece(f"{name}-{group}", shows, partial(run, cases)) for group, cases in GROUPS.items()]


def agent(blueprint: Blueprint, device: str, choice: Choice) -> Agent:
    """An agent at the start of a run; precision and cache are set for the whole process."""
    device = assemble.set_up_process(blueprint, device)
    info = blueprint.environment.info
    return Agent(blueprint, info, Learner(blueprint.agent, device, choice))


class Given(NamedTuple):
    """The inputs of one update."""

    transitions: Transitions
    extra: Mapping[str, Tensor]
    noise: Mapping[str, Tensor]

    def to(self, device: str) -> Given:
        """A copy on a device."""
        moved = Transitions(*(value.to(device) for value in self.transitions))
        return Given(moved, *({name: value.to(device) for name, value in part.items()} for part in self[1:]))


def given(one: Agent, count: int, seed: int = 0) -> list[Given]:
    """Random batches, and noise for an update on each: drawn on a CPU, on the agent's device."""
    generator = torch.Generator().manual_seed(seed)
    return [_one(one, generator).to(one.learner.device) for _ in range(count)]


def _one(one: Agent, generator: torch.Generator) -> Given:
    learner, info = one.learner, one.info
    lead = (len(learner.seeds), learner.batch_size)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*lead, *shape, generator=generator)

    def seen() -> Tensor:
        shape = (*lead, *info.observation)
        if info.pictures:
            return torch.randint(256, shape, generator=generator).to(torch.uint8)
        return torch.randn(shape, generator=generator)

    if info.discrete:
        action = one_hot(torch.randint(info.action_size, lead, generator=generator), info.action_size).float()
    else:
        action = normal(info.action_size).tanh()
    goes_on = (torch.rand(lead, generator=generator) > 0.1).float()
    drawn = Transitions(seen(), action, normal(), 0.99 * goes_on, seen())
    moved = Transitions(*(value.to(learner.device) for value in drawn))
    extra = {name: value.cpu() for name, value in learner.default_extras(moved).items()}
    return Given(drawn, extra, {name: normal(*shape) for name, shape in learner.program.noise.items()})


def learn(one: Agent, batches: Sequence[Given]) -> Iterator[int]:
    """An update on each batch under its own noise; yields the count of updates after each."""
    for number, batch in enumerate(batches, 1):
        for name, value in batch.noise.items():
            one.learner.noise[0][name].copy_(value)  # A second agent beside this one reads it there.
        one.learner.learn_with_noise(one.learner.noise[:1], [Minibatch(batch.transitions, batch.extra)])
        yield number


def weights(one: Agent) -> dict[str, Tensor]:
    """Weights of networks, learned scalars and averages by name, copied to the CPU."""
    return {
        name: value.detach().cpu().clone()
        for name, value in one.learner.tensors().items()
        if name.startswith(("networks/", "averages/")) and value.is_floating_point()
    }


def distance(start: Mapping[str, Tensor], found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> float:
    """Difference of what was learned, relative to what was learned: the largest over networks, norms of all weights.

    Relative to the change since ``start`` and not to the weights, beside which a few updates are small.
    """
    if found.keys() != wanted.keys():
        return float("nan")
    worst = 0.0
    for network in sorted({name.rsplit("/", 1)[0] for name in wanted}):
        apart = moved = 0.0
        for name in wanted:
            if name.rsplit("/", 1)[0] == network:
                # Weights that an injection added, or that a widening gave another shape, have no start value.
                then = start.get(name, torch.zeros(()))
                then = then if then.shape == wanted[name].shape else torch.zeros(())
                apart += float((found[name] - wanted[name]).square().sum())
                moved += float((wanted[name] - then).square().sum())
        if apart != 0.0:
            worst = max(worst, (apart / moved) ** 0.5 if moved else float("inf"))
    return worst
