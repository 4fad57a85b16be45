"""Performs growth: rebuilds a network, its averages and its optimizer's state around the tensors that there are.

Legend: S seeds, C copies. Tests: tests/interventions/test_growth.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.interventions.base import Intervention
from composer.interventions.growth_steps import MOST_FIRINGS, Step
from composer.networks.initialize import draw_one
from composer.networks.outline import BufferPlan, ParameterPlan
from composer.networks.stacked import Stacked, Template, kernels_last
from composer.spec.random_streams import derive
from composer.spec.shape import Shape
from composer.training.surgery.errors import SurgeryError

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.training.learner import Learner

OUTPUT_TOLERANCE = 1e-5
"""Largest change of outputs, relative to the largest, that growth may make: rounding of weights to float32."""


class Growths:
    """All interventions of a run that let networks grow, and the order in which they fired."""

    def __init__(self, interventions: Mapping[str, Intervention], agent: AgentDeclaration, learner: Learner) -> None:
        """Nothing has grown."""
        self._learner, self._actions = learner, agent.info.action_size
        self._growing = {name: each for name, each in interventions.items() if each.do.reshapes}
        self._networks = dict(agent.networks)
        self._done: set[tuple[str, int]] = set()
        self.grown: set[str] = set()
        """Networks that have grown, by role."""
        self._turns = {name: torch.zeros(MOST_FIRINGS, dtype=torch.int64) for name in self._growing}
        """Of each firing, its number among all growths of the run, from 1."""

    def __contains__(self, name: str) -> bool:
        return name in self._growing

    def tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """The state: name of an intervention, name of the tensor, the tensor itself."""
        yield from ((name, "turns", turns) for name, turns in self._turns.items())

    def restore(self) -> None:
        """Let the networks of a fresh learner grow as the loaded state says; whoever calls loads their values next."""
        turns = [(int(turn), name, k) for name, turns in self._turns.items() for k, turn in enumerate(turns) if turn]
        for _, name, firing in sorted(turns):
            if (name, firing) not in self._done:  # A fork restores twice.
                self._grow(name, firing)

    def fire(self, name: str, firing: int, probe: Callable[[Shape], Tensor]) -> dict[str, Any]:
        """Firing number ``firing`` from 0 of an intervention, for all seeds; returns what its event says.

        ``probe`` gives inputs ``[S, B, *shape]`` on which outputs are compared.
        """
        if firing >= MOST_FIRINGS:
            raise SurgeryError(f"{name!r} has grown its network {firing} times, and no run keeps track of more")
        learner, role = self._learner, self._role(name)
        names = [role, *(name for name, (of, _) in learner.averaged_roles().items() if of == role)]
        held = {**learner.networks, **learner.averages}
        before, trained = [frozen_copy(held[each]) for each in names], self._count(role)
        self._turns[name][firing] = 1 + sum(int((turns > 0).sum()) for turns in self._turns.values())
        steps = self._grow(name, firing)
        inputs = probe(learner.outlines[role].input)
        change = max(output_change(old, held[each], inputs) for old, each in zip(before, names, strict=True))
        if change > OUTPUT_TOLERANCE:
            raise SurgeryError(f"the growth {name!r} changed outputs by {change:.1e}, relative to the largest")
        grown = ", ".join(step.text for step in steps)
        sizes = {"parameters_before": trained, "parameters_after": self._count(role)}
        return {"output_change": change, **sizes, "grown": grown}

    def _role(self, name: str) -> str:
        return self._growing[name].where.select(self._learner.outlines)[0][0]

    def _count(self, role: str) -> int:
        """Entries of all parameters of a network, all copies of one seed."""
        return sum(value[0].numel() for value in self._learner.networks[role].parameters.values())

    def _grow(self, name: str, firing: int) -> Sequence[Step]:
        learner, role, each = self._learner, self._role(name), self._growing[name]
        self._done.add((name, firing))
        self.grown.add(role)
        network, shape = self._networks[role], learner.outlines[role].input
        chosen = [path for of, path in each.where.select(learner.outlines) if of == role]
        steps = list(each.do.steps(network, shape, self._actions, chosen))
        last, stacked, stream = steps[-1], learner.networks[role], (name, firing, role)
        self._networks[role] = last.network
        template = Template(partial(last.network.build, shape, self._actions))
        for average_name, (of, average) in learner.averaged_roles().items():
            if of == role:
                own = FiringDraws(learner, stream, stacked.copies, key=average_name)
                average.template = template
                average.parameters, average.buffers = _grown(steps, average, own, trained=False)
        draws = FiringDraws(learner, stream, stacked.copies)
        parameters, buffers = _grown(steps, stacked, draws, trained=True)
        moment = partial(_moment, steps, draws)
        learner.restructure(role, template, last.after, parameters, buffers, moment=moment)
        return steps


@dataclass(frozen=True)
class FiringDraws:
    """Random numbers of one firing."""

    learner: Learner
    stream: tuple[str | int, ...]
    copies: int
    key: str = ""
    """Of the random streams of noisy modules, which an average has on its own."""

    def fresh(self, path: str, plan: ParameterPlan | BufferPlan) -> Tensor:
        """As first drawn, ``[S, C, *shape]``."""
        if isinstance(plan, ParameterPlan):
            return kernels_last(self._stacked(path, lambda seed: draw_one(plan, seed)))
        if plan.kind == "statistic":
            return self._stacked(path, lambda seed: torch.full(plan.shape, plan.start))
        return self._stacked(f"{path}{self.key}", lambda seed: torch.tensor(seed if plan.kind == "key" else 0))

    def order(self, path: str, count: int) -> Tensor:
        """Random orders, ``[S, C, count]``."""
        return self._stacked(f"{path}/order", lambda seed: torch.randperm(count, generator=_generator(seed)))

    def noise(self, path: str, shape: Shape) -> Tensor:
        """Unit-normal noise, ``[S, C, *shape]``."""
        return self._stacked(f"{path}/noise", lambda seed: torch.randn(shape, generator=_generator(seed)))

    def _stacked(self, path: str, draw: Any) -> Tensor:
        rows = [
            torch.stack([draw(derive(seed, "intervention", *self.stream, copy, path)) for copy in range(self.copies)])
            for seed in self.learner.seeds
        ]
        return torch.stack(rows).to(self.learner.device)


def output_change(old: Stacked, new: Stacked, probe: Tensor) -> float:
    """Largest change of an output relative to the largest one, computed in float64: that of stored weights alone."""
    before, after = (_parts(_exactly(network)(probe.double())) for network in (old, new))
    pairs = list(zip(before, after, strict=True))
    largest = max(float(value.abs().max()) for value, _ in pairs)
    return max(float((b - a).abs().max()) for a, b in pairs) / max(largest, 1e-30)


def frozen_copy(network: Stacked) -> Stacked:
    """A network as it is now, which later growth leaves alone."""
    parameters = {path: value.detach().clone() for path, value in network.parameters.items()}
    return Stacked(network.template, parameters, {path: value.clone() for path, value in network.buffers.items()})


def _grown(
    steps: Sequence[Step], network: Stacked, draws: FiringDraws, trained: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers after the steps."""
    tensors: Mapping[str, Tensor] = network.tensors()
    for step in steps:
        tensors = {path: step.tensor(path, plan, tensors.get(path), draws) for path, plan in step.plans().items()}
    plans = dict(steps[-1].after.named_parameters())
    parameters = {path: _own(tensors[path], trained and plan.trainable) for path, plan in plans.items()}
    buffers = {path: tensors[path] for path, _ in steps[-1].after.named_buffers()}
    return parameters, buffers


def _own(value: Tensor, trained: bool) -> Tensor:
    """The tensor as a parameter; one that has not changed stays the same object."""
    return value if value.requires_grad == trained else kernels_last(value.detach()).requires_grad_(trained)


def _moment(steps: Sequence[Step], draws: FiringDraws, path: str, value: Tensor) -> Tensor:
    """A moment after the steps."""
    for step in steps:
        value = step.moment(path, value, draws)
    return value


def _exactly(network: Stacked) -> Stacked:
    parameters = {path: value.detach().double() for path, value in network.parameters.items()}
    buffers = {path: v.double() if v.is_floating_point() else v for path, v in network.buffers.items()}
    return Stacked(network.template, parameters, buffers)


def _parts(output: Any) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
