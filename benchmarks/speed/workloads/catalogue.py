"""All workloads of ``python -m benchmarks.speed``, in order. Free of torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from benchmarks.speed.candidate import Candidate, contrib, sbx, stable_baselines, torchrl
from benchmarks.speed.workloads.agents import Deciding, Learning, Looping
from benchmarks.speed.workloads.base import Workload
from benchmarks.speed.workloads.environments import Control, Frames
from benchmarks.speed.workloads.sharing import Sharing
from benchmarks.speed.workloads.starting import Starting

WASTE = "the gradient of the actor's loss runs into the critic's weights"
CLAMPED = "the log standard deviation is clamped"
OURS_INSIDE = "hidden layers are this project's modules"
UNSCALED = "observations are not normalised"
_SAC: Final = (
    stable_baselines("stable_baselines:sac", f"{CLAMPED}; {WASTE}"),
    sbx("sbx:sac", CLAMPED),
    torchrl("torchrl:sac", "one optimizer for all losses"),
)
_SIMBA: Final = (
    stable_baselines("stable_baselines:sac", f"{CLAMPED}; {WASTE}; {OURS_INSIDE}"),
    sbx("sbx:sac", CLAMPED),
    torchrl("torchrl:sac", f"one optimizer for all losses; {OURS_INSIDE}; {UNSCALED}"),
)
_SELDOM: Final = "the actor is computed every third update"
_CROSSQ: Final = (contrib("crossq:contrib", _SELDOM), sbx("crossq:sbx", _SELDOM))
_DQN: Final = (stable_baselines("stable_baselines_dqn:dqn", "the norm of gradients is bounded, at 1e9"),)
_DREAMER: Final = (
    torchrl(
        "torchrl_dreamer:dreamer",
        "Adam in the place of LaProp; latents are not written back to the replay; imagined steps keep a graph that no"
        " gradient uses",
    ),
)
_AS_PEERS: Final = (
    *("environment.protocol=machado2018", "environment.full_actions=true", "networks.value.head.huber=1.0"),
)
"""Huber loss and all 18 actions, as the others have them."""
_EVALUATED = "values and densities are taken while collecting: not counted here"
_PPO: Final = (
    stable_baselines("rollouts:stable_baselines_ppo", f"actor and critic are one step; {_EVALUATED}"),
    sbx("rollouts:sbx_ppo", _EVALUATED),
)
_WALKER: Final = 'environment={ kind = "dm_control", task = "walker-walk", action_repeat = 2, copies = 8 }'
_UNSCALED_PPO: Final = ('normalization={ observation = { kind = "raw" }, reward = { kind = "raw" } }',)
_ONE_UPDATE: Final = ("algorithm.update_to_data=1.0", "algorithm.warmup_interactions=256")

MLP: Final = Learning(
    "mlp", "SAC, MLP 2x256, two critics, batch 256", "dmc/sac_mlp", (256, 256),
    peers=_SAC, most_seeds=64, places={"width": 256, "batch": 256, "seeds": 1},
)  # fmt: skip
"""The axis of seeds has a point per number of seeds of the candidates."""


def _mlp(name: str, width: int, batch: int, axis: str) -> Learning:
    """The MLP at another size, for the plot: measured half as long, with fewer candidates."""
    overrides = (
        f"networks.actor.trunk.width={width}",
        f"networks.critic.trunk.width={width}",
        f"algorithm.batch_size={batch}",
    )
    place = {"width": width, "batch": batch}[axis]
    title = f"SAC, MLP 2x{width}, two critics, batch {batch}"
    return replace(
        MLP, name=name, title=title, hidden=(width, width), overrides=overrides, peers=_SAC[:2], most_seeds=1,
        places={axis: place}, share=0.5,
    )  # fmt: skip


def _looping(name: str, title: str, task: str) -> Looping:
    shimmy = "stepped through shimmy and Gymnasium's wrappers"
    peers: tuple[Candidate, ...] = (
        stable_baselines("loops:stable_baselines", f"{CLAMPED}; {WASTE}; {shimmy}", shimmy=True),
        sbx("loops:sbx", f"{CLAMPED}; {shimmy}", shimmy=True),
    )
    overrides = (f"environment.task={task}", "environment.action_repeat=2", "training.env_steps=1_000_000_000")
    return Looping(name, title, "dmc/sac_mlp", (256, 256), (*overrides, *_ONE_UPDATE), peers=peers)


def _deciding(name: str, title: str, blueprint: str, hidden: tuple[int, ...] | None) -> Deciding:
    peers = (stable_baselines("policies:stable_baselines", CLAMPED), sbx("policies:sbx", CLAMPED))
    return Deciding(name, title, blueprint, hidden, rows=1_000, peers=peers)


WORKLOADS: Final[tuple[Workload, ...]] = (
    MLP,
    Learning(
        "simba", "SAC, SimBa: actor 128/1, one critic 512/2, RSNorm, batch 256", "dmc/sac_simba",
        peers=_SIMBA, most_seeds=8,
    ),
    Learning(
        "crossq", "SAC, CrossQ: MLPs 2x256 with batch renorm, two critics without a target, batch 256",
        "dmc/crossq", (256, 256), ("networks.critic.trunk.width=256",), peers=_CROSSQ,
    ),
    *(_mlp(f"mlp-width-{width}", width, 256, "width") for width in (64, 128, 512, 1024)),
    *(_mlp(f"mlp-batch-{batch}", 256, batch, "batch") for batch in (64, 1024)),
    Learning(
        "dqn-nature", "DQN, Nature's convolutions, batch 32 of 84x84x4", "atari/dqn", rows=2_000, peers=_DQN,
        overrides=(*_AS_PEERS, "networks.value.trunk.padding=valid"),
    ),
    Learning(
        "dqn-impala", "DQN, IMPALA's convolutions, batch 32 of 84x84x4", "atari/dqn", rows=2_000, peers=_DQN,
        overrides=(*_AS_PEERS, 'networks.value.trunk={ use = "impala" }'),
    ),
    Learning(
        "dqn-minatar", "DQN, MinAtar's network, centred RMSProp, batch 32 of 10x10x4", "minatar/dqn", rows=2_000,
        peers=_DQN, most_seeds=16,
    ),
    Learning(
        "ppo", "PPO, MLPs 2x64, rollouts of 2,048 transitions, 10 epochs of 8 minibatches of 256",
        "classic/pendulum_ppo", (64, 64), (_WALKER, *_UNSCALED_PPO), peers=_PPO, most_seeds=4,
    ),
    Learning(
        "dreamer", "DreamerV3, smallest size, 8 sequences of 32 moments, 15 imagined steps", "dmc/dreamer_v3",
        overrides=("algorithm.batch_size=8", "algorithm.sequence=32"), rows=5_000, peers=_DREAMER,
    ),
    _looping("loop-walker", "SAC, MLP 2x256, walker-walk, action repeat 2, one update per decision", "walker-walk"),
    _looping("loop-cartpole", "SAC, MLP 2x256, cartpole-swingup, action repeat 2, one update per decision",
             "cartpole-swingup"),
    _deciding("act-mlp", "one action of SAC's actor, MLP 2x256", "dmc/sac_mlp", (256, 256)),
    _deciding("act-simba", "one action of SAC's actor, SimBa 128/1", "dmc/sac_simba", None),
    Control("control-walker", "dm_control, walker-walk", "walker-walk"),
    Control("control-cartpole", "dm_control, cartpole-swingup", "cartpole-swingup"),
    *(Frames(f"atari-{n}", f"Atari, Pong, {n} game{'s' if n > 1 else ''}", "pong", n) for n in (1, 8)),
    Starting("start", "SAC, MLP 2x256: seconds from the start of a process to the end of its first update",
             "dmc/sac_mlp", (256, 256), peers=_SAC),
    Sharing("neighbour", "SAC, MLP 2x256: beside a busy process, and two trainings at once", "dmc/sac_mlp", (256, 256),
            peers=_SAC[:2]),
    Sharing("neighbour-simba", "SAC, SimBa: beside a busy process, and two trainings at once", "dmc/sac_simba",
            peers=_SIMBA[:2]),
    Learning(
        "memory", "memory over many updates: SAC, MLP 2x32, batch 32", "dmc/sac_mlp", (32, 32),
        ("networks.actor.trunk.width=32", "networks.critic.trunk.width=32", "algorithm.batch_size=32"), peers=_SAC,
    ),
)  # fmt: skip
