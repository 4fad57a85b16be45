"""The learner: stacked networks, averages, optimizers and statistics, and one captured update over all of them.

Generic over algorithms: it runs a program's objectives in order, each with its optimizer's step, then the averages.
Everything is changed in place, so that compiled programs, CUDA graphs and optimizers keep their addresses.
Legend: S seeds, C copies, B batch, E environments of a seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.base import Batch, Roles
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_stack, per_seed
from composer.optim.delayed import apply_every
from composer.optim.hyperparameters import number, recorded
from composer.replay.transitions import Transitions
from composer.spec.errors import ComposerError
from composer.spec.random_streams import derive
from composer.training.acting import ActingPolicy
from composer.training.agent_networks import average_of, networks_of, returns_of
from composer.training.compile.capture import Choice, capture
from composer.training.gradient_step import GradientStep
from composer.training.signals import Signals

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo


Learnt = tuple[Transitions, Mapping[str, Tensor]]
"""What an update learns from: transitions ``[S, B, ...]``, and by name what the program asks for beside them."""


class Diverged(ComposerError, RuntimeError):
    """A loss or a parameter is not finite: the message says which and when. No checkpoint has been overwritten."""

    exit_code = 5


class Learner:
    """An agent of S seeds that learns: ``act``, ``observe``, ``update``, and every tensor of its state by name."""

    def __init__(self, blueprint: Blueprint, info: EnvironmentInfo, device: str, choice: Choice) -> None:
        """Draws fresh weights from the streams ``init`` of the blueprint's seeds."""
        with recorded() as self.numbers:
            self._build(blueprint, info, device, choice)

    def _build(self, blueprint: Blueprint, info: EnvironmentInfo, device: str, choice: Choice) -> None:
        self.seeds: tuple[int, ...] = tuple(blueprint.seeds)
        self.device = device
        self.batch_size = blueprint.algorithm.batch_size
        update_schedule = blueprint.algorithm.update_schedule(info)
        self.n_step = update_schedule.n_step
        self.discount = number(update_schedule.discount, (len(self.seeds),), device)
        horizon_schedules = blueprint.algorithm.horizon_schedules()
        self._clocked, count = horizon_schedules.role, len(self.seeds)
        self._lengths_at = horizon_schedules.n_step.build(count, device) if horizon_schedules.n_step else None
        self._one_minus_discount_at = (
            horizon_schedules.one_minus_discount.build(count, device) if horizon_schedules.one_minus_discount else None
        )
        self.lengths: Tensor | None = None
        built, learned = networks_of(blueprint, info, device), blueprint.algorithm.learned_scalars()
        self.networks = {role: network for role, (_, network) in built.items()}
        self.outlines: dict[str, Outline] = {role: outline for role, (outline, _) in built.items()} | dict(learned)
        self.scalars = {
            role: fresh_stack(outline, self.seeds, 1, "init", role, device=device) for role, outline in learned.items()
        }
        self.averages = {name: average_of(blueprint, name, built, device) for name in blueprint.averages}
        self._averaged = {name: average.of for name, average in blueprint.averages.items()}
        self._averaging = [
            (self.averages[name], self.networks[average.of], average.momentum.build(len(self.seeds), device))
            for name, average in blueprint.averages.items()
        ]
        scalars = {role: named["value"] for role, named in self.scalars.items()}
        self.updates = torch.zeros(len(self.seeds), dtype=torch.float64, device=device)
        self.roles = Roles(self.networks, self.averages, scalars, returns_of(blueprint, built, device), self.updates)
        self.program = blueprint.algorithm.build(self.roles, info, len(self.seeds), device)
        self.policy = ActingPolicy(blueprint, info, self.roles, device)
        self._gradient_step = GradientStep(
            blueprint, self.program.objectives, self.networks, self.scalars, self.outlines
        )
        self.optimizers = self._gradient_step.optimizers
        self._choice = choice
        self.statistics = blueprint.normalization.observation.build(
            len(self.seeds), math.prod(info.observation), device
        )
        environments = blueprint.environment.copies_per_seed
        self.rewards = blueprint.normalization.reward.build(len(self.seeds), environments, self.discount, device)
        """Statistics that rewards are scaled by; None where they are not."""
        self.noise = [
            {
                name: torch.empty(len(self.seeds), self.batch_size, *shape, device=device)
                for name, shape in self.program.noise.items()
            }
            for _ in range(blueprint.compute.updates_per_call)
        ]
        """Where the draws of each update of a call are put, ``[S, B, ...]`` by name."""
        self.priorities = {
            name: torch.zeros(len(self.seeds), self.batch_size, device=device) for name in self.program.priorities
        }
        """What the last update found out about each sample, ``[S, B]``, by name."""
        self._generators = [self._generator(seed, "learn") for seed in self.seeds]
        self.replay_generators = [self._generator(seed, "replay") for seed in self.seeds]
        self._signals = Signals(self.program.signals, len(self.seeds), device)
        self._capture()

    @torch.no_grad()
    def act(self, observation: Tensor, explore: bool = True) -> Tensor:
        """Actions ``[S, E, a]`` for raw observations ``[S, E, ...]``; without ``explore`` the policy's mode."""
        seen = self.normalised(observation)
        return self.policy.explore(seen) if explore else self.policy.evaluate(seen)

    def act_randomly(self, environments: int) -> Tensor:
        """Uniform actions ``[S, E, a]``, in [-1, 1) or one-hot: what warm-up plays."""
        return self.policy.random_actions(environments)

    def observe(self, observation: Tensor) -> None:
        """Let the running statistics see raw observations ``[S, E, d]`` of an environment step."""
        if self.statistics is not None:
            self.statistics.observe(observation)

    @property
    def looks_ahead(self) -> bool:
        """Whether the horizon of batches changes from update to update."""
        return self._lengths_at is not None or self._one_minus_discount_at is not None

    def draw_on(self, device: str) -> None:
        """Draw from replay there instead of where updates run; of equal seeds a CPU makes other numbers than a GPU."""
        if device != self.device:
            seeds = [generator.initial_seed() for generator in self.replay_generators]
            self.replay_generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def look_ahead(self) -> None:
        """Bring ``discount`` and ``lengths`` (windows of a seed, ``[S]``, where they change) to the present update."""
        if self._lengths_at is not None:
            self.lengths = self._lengths_at(self.optimizers[self._clocked].clock()).round()
        if self._one_minus_discount_at is not None:
            self.discount.copy_(1 - self._one_minus_discount_at(self.optimizers[self._clocked].clock()))

    def update(self, transitions: Transitions, extra: Mapping[str, Tensor] = MappingProxyType({})) -> None:
        """One gradient update of every objective, on the captured program; ``extra`` is what the program asks for."""
        self.learn([(transitions, extra)])

    def learn(self, batches: Sequence[Learnt]) -> None:
        """As many updates, one after the other, in one call of a captured program: one, or ``updates_per_call``."""
        self.draw_noise(len(batches))
        self.learn_under(self.noise, batches)

    def draw_noise(self, updates: int) -> None:
        """The unit-normal draws of the next ``updates`` updates, into ``noise``."""
        for noise in self.noise[:updates]:
            for values in noise.values():
                for row, generator in zip(values, self._generators, strict=True):
                    row.normal_(generator=generator)

    def learn_under(self, noises: Sequence[Mapping[str, Tensor]], batches: Sequence[Learnt]) -> None:
        """``learn`` under noise that is given, ``[S, B, ...]`` by name, as ``program.noise`` asks for it."""
        if len(batches) not in (1, len(self.noise)):
            raise ValueError(f"a call makes 1 update or {len(self.noise)}, got {len(batches)} batches")
        tensors: list[Tensor] = []
        for noise, (transitions, extra) in zip(noises, batches, strict=False):
            tensors += (*transitions, *(extra[name] for name in self.program.extras))
            tensors += (noise[name] for name in self.program.noise)
        self._captured[len(batches) > 1](*tensors)

    def stand_ins(self, transitions: Transitions) -> Mapping[str, Tensor]:
        """What the program asks for beside transitions, for plain ones."""
        now, following = self.normalised(transitions.observation), self.normalised(transitions.next_observation)
        return self.program.default_extras(Batch(now, *transitions[1:4], following))

    def update_eagerly(self, *tensors: Tensor) -> None:
        """The whole update as one function of tensors: ``Transitions``, the program's extras, its noise, in order."""
        asked = self.program.extras
        extra = dict(zip(asked, tensors[5 : 5 + len(asked)], strict=True))
        noise = dict(zip(self.program.noise, tensors[5 + len(asked) :], strict=True))
        batch = self.batch(Transitions(*tensors[:5]), extra)
        signals: dict[str, Tensor] = {}
        for objective in self.program.objectives:
            step = partial(self._gradient_step.step, objective, batch, noise, signals)
            if objective.every is None:
                step()
            else:
                held = [(self.tensors_of(role), self.optimizers[role].tensors()) for role in objective.roles]
                changed = [value for pair in held for named in pair for value in named.values()]
                apply_every(step, changed, objective.every, self.updates)
        with torch.no_grad():
            for average, online, momentum in self._averaging:
                keep, source = momentum(self.updates), online.averaged()
                for path, value in average.averaged().items():
                    value.lerp_(source[path], per_seed(1 - keep, value))
            self.updates.add_(1)
            for name, value in self.priorities.items():
                value.copy_(signals[name])
            self._signals.add(signals)

    def update_repeatedly(self, *tensors: Tensor) -> None:
        """``updates_per_call`` whole updates as one function: the tensors of the first, of the second and so on."""
        each = len(tensors) // len(self.noise)
        for start in range(0, len(tensors), each):
            self.update_eagerly(*tensors[start : start + each])

    def drain_signals(self) -> list[dict[str, float]]:
        """Means of the signals since the last call, a dict a seed, empty without updates. One transfer to the host."""
        return self._signals.drain()

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name, the very tensors, not copies."""
        named: dict[str, Tensor] = {"updates": self.updates, "signals": self._signals.sums}
        for role, network in self.networks.items():
            named |= {f"networks/{role}/{path}": value for path, value in network.tensors().items()}
        for role, scalar in self.scalars.items():
            named |= {f"networks/{role}/{path}": value for path, value in scalar.items()}
        for name, average in self.averages.items():
            named |= {f"averages/{name}/{path}": value for path, value in average.tensors().items()}
        for role, optimizer in self.optimizers.items():
            named |= {f"optimizers/{role}/{path}": value for path, value in optimizer.tensors().items()}
        if self.statistics is not None:
            named |= {f"normalization/observation/{path}": value for path, value in self.statistics.tensors().items()}
        if self.rewards is not None:
            named |= {f"normalization/reward/{path}": value for path, value in self.rewards.tensors().items()}
        return named

    @torch.no_grad()
    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Copy saved tensors into the state, in place; KeyError or RuntimeError where they are another agent's."""
        for name, tensor in self.tensors().items():
            tensor.copy_(saved[name])

    def assert_finite(self) -> None:
        """Raise Diverged, naming the first state tensor that holds a number that is not finite."""
        named = {name: value for name, value in self.tensors().items() if value.is_floating_point()}
        fine = torch.stack([torch.isfinite(value.detach()).all() for value in named.values()]).tolist()
        for name, good in zip(named, fine, strict=True):
            if not good:
                raise Diverged(f"{name} holds a number that is not finite")

    def generators(self) -> dict[str, torch.Generator]:
        """Every random stream by name."""
        streams = {"learn": self._generators, "explore": self.policy.explorers, "replay": self.replay_generators}
        return {f"{name}/{seed}": g for name, row in streams.items() for seed, g in zip(self.seeds, row, strict=True)}

    def restructure(
        self,
        role: str,
        template: Template,
        outline: Outline,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        held: Mapping[str, Tensor],
    ) -> None:
        """Make a network another one; what keeps its path keeps its tensor and its optimizer state.

        ``held`` names trained parameters that stay as they are for some seeds, each with a mask ``[S]``. The update is
        captured anew: one recompilation.
        """
        network = self.networks[role]
        network.template, network.parameters, network.buffers = template, dict(parameters), dict(buffers)
        self.outlines[role] = outline
        self._gradient_step.restructure(role, held)
        self._capture()

    def recapture(self, choice: Choice) -> None:
        """Go on with an update that is compiled, or is not, as ``choice`` says."""
        self._choice = choice
        self._capture()

    def _capture(self) -> None:
        functions = [self.update_eagerly, self.update_repeatedly][: len(self.noise)]
        self._captured = [
            capture(function, self._choice, self.device, lambda: list(self.tensors().values()))
            for function in functions
        ]

    def averaged_roles(self) -> dict[str, tuple[str, Stacked]]:
        """By name of an average: the role that it averages, and the average."""
        return {name: (of, self.averages[name]) for name, of in self._averaged.items()}

    def tensors_of(self, role: str) -> Mapping[str, Tensor]:
        """Parameters, and buffers of a network, by path, the very tensors."""
        return self.networks[role].tensors() if role in self.networks else self.scalars[role]

    def parameters(self, role: str) -> Mapping[str, Tensor]:
        """The parameters of a network or a learned scalar by path, ``[S, C, ...]``, the very tensors."""
        return self._gradient_step.parameters(role)

    def batch(self, drawn: Transitions, extra: Mapping[str, Tensor] = MappingProxyType({})) -> Batch:
        """Raw transitions ``[S, B, ...]`` as losses read them at this moment: observations and rewards normalised."""
        observation, action, reward, bootstrap, following = drawn
        reward = reward if self.rewards is None else self.rewards.scaled(reward)
        if (ahead := extra.get("future/observation")) is not None:
            seen = self.normalised(ahead.flatten(1, 2)).unflatten(1, ahead.shape[1:3])
            extra = {**extra, "future/observation": seen}
        return Batch(self.normalised(observation), action, reward, bootstrap, self.normalised(following), extra)

    def normalised(self, observation: Tensor) -> Tensor:
        """Raw observations ``[S, ..., d]`` as networks read them at this moment, float32."""
        return observation.float() if self.statistics is None else self.statistics.normalise(observation)

    def _generator(self, seed: int, *names: str | int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(seed, *names))
