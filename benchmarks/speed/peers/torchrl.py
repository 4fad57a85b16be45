"""TorchRL's SAC as a candidate: ``SACLoss``, ``SoftUpdate`` and a tensor replay buffer with the same contents, eager.

Its own ``MLP`` where the network is one; else this project's trunk inside its actor and its value operator.
Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from tensordict import TensorDict
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torch import Tensor, nn
from torchrl.data import Bounded, LazyTensorStorage, TensorDictReplayBuffer
from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import SACLoss, SoftUpdate

from benchmarks.speed.counting import size
from benchmarks.speed.peers.stable_baselines import trunk
from benchmarks.speed.products import seen
from benchmarks.speed.workloads.contents import transitions

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload
    from composer.blueprint import Blueprint


class OurCritic(nn.Module):
    """This project's trunk over observation and action, and a linear head."""

    def __init__(self, hidden: nn.Module, width: int) -> None:
        """``hidden`` has ``width`` outputs."""
        super().__init__()
        self.net = nn.Sequential(hidden, nn.Linear(width, 1))

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Values ``[B, 1]``."""
        values: Tensor = self.net(torch.cat([observation, action], -1))
        return values


class LossSubject:
    """One agent with a full replay buffer."""

    units = 1

    def __init__(self, blueprint: Blueprint, workload: AgentWorkload) -> None:
        """The agent of ``blueprint``, as closely as TorchRL allows."""
        algorithm: Any = blueprint.algorithm
        info = blueprint.environment.info
        momentum: Any = blueprint.averages["target_critic"].momentum
        optimizer: Any = blueprint.optimizers["critic"]
        self._loss = _loss(blueprint, workload)
        self._loss.make_value_estimator(gamma=algorithm.discount.value_for(info))
        self._target = SoftUpdate(self._loss, eps=momentum.value)
        kind: Any = torch.optim.Adam
        decay = 0.0
        if optimizer.kind == "adamw":
            kind, decay = (torch.optim.AdamW, optimizer.weight_decay)
        self._optimizer = kind(self._loss.parameters(), lr=optimizer.learning_rate.value, weight_decay=decay)
        self._replay = TensorDictReplayBuffer(storage=LazyTensorStorage(workload.rows), batch_size=algorithm.batch_size)
        self._replay.extend(contents(blueprint, workload))

    def call(self) -> None:
        """Sample, compute all losses, step, update the target."""
        losses = self._loss(self._replay.sample())
        (losses["loss_actor"] + losses["loss_qvalue"] + losses["loss_alpha"]).backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._target.step()

    def settle(self) -> None:
        """Nothing is pending on a CPU."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters by this project's names of the networks."""
        loss = self._loss
        held = {
            "actor": loss.actor_network_params,
            "critic": loss.qvalue_network_params,
            "target_critic": loss.target_qvalue_network_params,
        }
        counts = {name: size(tree.values(True, True)) for name, tree in held.items()}
        return counts | {"temperature": loss.log_alpha.numel()}

    def flops(self) -> int:
        """Operations of one update."""
        # Not by torch's counter, whose bookkeeping of modules fails on modules that hold a tensordict.
        return sum(each.flops for each in seen(self.call))


def sac(workload: AgentWorkload, candidate: Candidate) -> LossSubject:
    """The agent of the workload's blueprint."""
    torch.manual_seed(0)
    return LossSubject(workload.load(), workload)


def _loss(blueprint: Blueprint, workload: AgentWorkload) -> SACLoss:
    algorithm: Any = blueprint.algorithm
    info = blueprint.environment.info
    (inputs,), actions = info.observation, info.action_size
    value: nn.Module
    if workload.hidden is None:
        hidden, width = trunk(blueprint.networks["actor"], inputs)
        body: nn.Module = nn.Sequential(hidden, nn.Linear(width, 2 * actions))
        value = OurCritic(*trunk(blueprint.networks["critic"], inputs + actions))
    else:
        cells = {"num_cells": list(workload.hidden), "activation_class": nn.ReLU}
        body = MLP(in_features=inputs, out_features=2 * actions, **cells)
        value = MLP(in_features=inputs + actions, out_features=1, **cells)
    module = TensorDictModule(
        nn.Sequential(body, NormalParamExtractor()), in_keys=["observation"], out_keys=["loc", "scale"]
    )
    actor = ProbabilisticActor(
        module,
        in_keys=["loc", "scale"],
        spec=Bounded(-torch.ones(actions), torch.ones(actions), (actions,)),
        distribution_class=TanhNormal,
        return_log_prob=True,
    )
    return SACLoss(
        actor,
        ValueOperator(value, in_keys=["observation", "action"]),
        num_qvalue_nets=blueprint.networks["critic"].copies,
        loss_function="l2",
        alpha_init=algorithm.initial_temperature,
        target_entropy=algorithm.target_entropy_per_action * actions,
    )


def contents(blueprint: Blueprint, workload: AgentWorkload) -> TensorDict:
    """The synthetic experience of a workload."""
    held = transitions(workload.rows, blueprint.environment.info)
    told = {name: torch.from_numpy(value) for name, value in held._asdict().items()}
    ended, terminated = (told[name][:, None].bool() for name in ("ended", "terminated"))
    following = {"observation": told["following"], "reward": told["reward"][:, None]}
    return TensorDict(
        {
            "observation": told["observation"],
            "action": told["action"],
            "next": following | {"done": ended, "terminated": terminated},
        },
        [workload.rows],
    )
