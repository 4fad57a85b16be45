"""The learner: stacked networks, averages, optimizers and statistics, and one captured update over all of them.

Generic over algorithms: it runs a program's objectives in order, each with its optimizer's step, then the averages.
Everything is changed in place, so that compiled programs, CUDA graphs and optimizers keep their addresses.
Legend: S seeds, C copies, B batch, E environments of a seed. Tests: tests/training/test_learner.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.program import Batch, BuiltAgent
from composer.blueprint.forecast.in_turn import takes_turns
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template
from composer.optim.averages import averaged_networks
from composer.optim.hyperparameters import Hyperparameters
from composer.replay.transitions import Minibatch, Transitions
from composer.spec.random_streams import derive
from composer.training import agent_networks as made
from composer.training.acting import ActingPolicy
from composer.training.agent_networks import StatePart
from composer.training.batch import batch_of, packed, rewards_of, unpacked
from composer.training.compile.capture import Choice, capture, eager_after
from composer.training.compile.first_call import CompileFailed
from composer.training.compile.kept import KeptPrograms
from composer.training.gradient_step import GradientStep
from composer.training.horizon import Horizon
from composer.training.moving_averages import MovingAverages
from composer.training.profiling import timed
from composer.training.resting import resting, unmoved
from composer.training.seeds_in_turn import SeedsInTurn
from composer.training.signals import SignalMeans, declared_signals


class Learner:
    """An agent of S seeds that learns: ``act``, ``observe``, ``update``, and every tensor of its state by name."""

    def __init__(self, agent: AgentDeclaration, device: str, choice: Choice) -> None:
        """Draws fresh weights from the streams ``init`` of the agent's seeds."""
        self.seeds, self.device, self.batch_size = agent.seeds, device, agent.algorithm.batch_size
        self._averaged, self._agent = averaged_networks(agent.averages), agent
        self.hyperparameters = Hyperparameters(len(agent.seeds), device)
        self._make_networks(agent)
        self._make_update(agent)
        self.state = self._state()  # Every part of the state, in order.
        self.kept: KeptPrograms | None = None  # Where compiled updates are kept, until a network is replaced.
        self.recapture(choice)
        self.compile_failed: Callable[[str], None] = lambda problem: None
        """Called with the reason where the update goes on eagerly, because compiling it fails."""
        self.active: Tensor | None = None  # The seeds that learn, a mask ``[S]`` on the host; None: all.

    def _make_networks(self, agent: AgentDeclaration) -> None:
        device = self.device
        self.networks = made.networks_of(agent, device)
        self.scalars = made.scalars_of(agent, device)
        """Learned scalars by role: the parameter ``value [S, 1]``."""
        self.outlines: dict[str, Outline] = agent.sound_outlines | dict(agent.algorithm.learned_scalars())
        """Networks, as they are now, and learned scalars, by role."""
        self.averages = made.averages_of(agent, self.networks, device)
        self.updates = torch.zeros(len(self.seeds), dtype=torch.float64, device=device)
        self.interactions = torch.zeros_like(self.updates)
        """Updates done, and interactions made before the present one, ``[S]``; collectors set the latter."""
        scalars, own = (
            {role: named["value"] for role, named in self.scalars.items()},
            made.state_tensors_of(agent, device),
        )
        counts, returns = (self.updates, self.interactions), made.returns_of(agent, device)
        self.built = BuiltAgent(self.networks, self.averages, scalars, returns, *counts, own)

    def _make_update(self, agent: AgentDeclaration) -> None:
        device, seeds, numbers = self.device, len(self.seeds), self.hyperparameters
        self.program = agent.algorithm.build(self.built, agent.info, numbers)
        self.policy = ActingPolicy(agent, self.built, numbers, device)
        self.horizon = Horizon(agent, numbers)
        self.statistics = agent.normalization.of_observations(agent.info, seeds, device)
        """What normalises observations; None where nothing does."""
        self.moves_statistics = True  # By updates, where they follow minibatches.
        self.rewards = rewards_of(agent, self.program, numbers, self.horizon.discount)
        """Statistics that rewards are scaled by; None where they are not."""
        self._moving_averages = MovingAverages(agent.averages, self.networks, self.averages, numbers)
        objectives, trained = self.program.objectives, (self.networks, self.scalars, self.outlines)
        self._gradient_step = GradientStep(agent, objectives, *trained, numbers, self.updates, self.program.inputs)
        self.optimizers = self._gradient_step.optimizers
        """State by trained role."""
        rows, noise, calls = (seeds, self.batch_size), self.program.noise, range(agent.updates_per_call)
        self.noise = [{name: torch.empty(*rows, *shape, device=device) for name, shape in noise.items()} for _ in calls]
        """The draws of each update of a call, ``[S, B, ...]`` by name."""
        said = dict.fromkeys(self.program.priorities, ()) | {**self.program.refreshed}
        self.reports = {name: torch.zeros(*rows, *shape, device=device) for name, shape in said.items()}
        """What the last update says of its samples, ``[S, B, ...]`` by name: priorities, refreshed memories."""
        self._generators = [self._generator(seed, "learn") for seed in self.seeds]
        self.replay_generators = [self._generator(seed, "replay") for seed in self.seeds]
        signals = declared_signals(agent.algorithm, agent.info, self.program.signals)
        self._signals = SignalMeans(signals, seeds, device)

    def _state(self) -> list[StatePart]:
        parts = [StatePart("", lambda: {"updates": self.updates, "signals": self._signals.sums})]
        roles, step, numbers = [*self.networks, *self.scalars], self._gradient_step, self.hyperparameters
        parts += [StatePart(f"networks/{role}/", partial(self.tensors_of, role)) for role in roles]
        parts += [StatePart(f"averages/{name}/", average.tensors) for name, average in self.averages.items()]
        parts += [StatePart(f"optimizers/{role}/", partial(step.tensors, role)) for role in self.optimizers]
        parts.append(StatePart("penalties/", step.penalty_terms.tensors))
        if self.statistics is not None:
            parts.append(StatePart("normalization/observation/", self.statistics.tensors))
        if self.rewards is not None:
            parts.append(StatePart("normalization/reward/", self.rewards.tensors))
        if (start := numbers.phase_start) is not None:
            parts.append(StatePart("phase/", lambda: {"start": start}))
        return [*parts, StatePart("algorithm/", lambda: self.built.tensors)]

    @timed("policy: choosing actions")
    @torch.no_grad()
    def act(self, observation: Tensor, explore: bool = True) -> Tensor:
        """Actions ``[S, E, a]`` for raw observations ``[S, E, ...]``, with exploration or as in an evaluation."""
        seen = self.normalised(observation)
        return self.policy.explore(seen) if explore else self.policy.evaluate(seen)

    def act_randomly(self, environments: int) -> Tensor:
        """Uniform actions ``[S, E, a]``, in [-1, 1) or one-hot, for the warm-up."""
        return self.policy.random_actions(environments)

    @timed("running statistics")
    def observe(self, observation: Tensor) -> None:
        """Show raw observations ``[S, E, d]`` of an environment step to what normalises them."""
        if self.statistics is not None:
            self.statistics.observe(observation)

    @property
    def n_step(self) -> int:
        """Longest window of rewards before a value is bootstrapped."""
        return self.horizon.n_step

    @property
    def discount(self) -> Tensor:
        """Of one interaction at the present update, ``[S]``."""
        return self.horizon.discount

    def follow_schedules(self) -> None:
        """Bring the horizon to the present update."""
        self.horizon.follow_schedules(self.optimizers)

    def draw_on(self, device: str) -> None:
        """Draw batches on this device, not the learner's: equal seeds give other numbers on a GPU than on a CPU."""
        if device != self.device:
            seeds = [generator.initial_seed() for generator in self.replay_generators]
            self.replay_generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def update(self, transitions: Transitions, extra: Mapping[str, Tensor] = MappingProxyType({})) -> None:
        """One update of every objective by the captured program; ``extra`` has the tensors of ``program.extras``."""
        self.learn([Minibatch(transitions, extra)])

    @timed("gradient updates", first="first update (compiling)")
    def learn(self, batches: Sequence[Minibatch]) -> None:
        """One update per batch, in order, in one call of a captured program: one update, or ``updates_per_call``."""
        with resting(self.tensors, self.active), unmoved(self._generators, self.active):
            if not batches[0].in_burst:
                self.draw_noise(len(batches))
            self.learn_with_noise(self.noise, batches)

    def draw_noise(self, updates: int) -> None:
        """Fill ``noise`` with the unit-normal draws of the next ``updates`` updates."""
        for noise in self.noise[:updates]:
            for values in noise.values():
                for row, generator in zip(values, self._generators, strict=True):
                    row.normal_(generator=generator)

    def learn_with_noise(self, noises: Sequence[Mapping[str, Tensor]], batches: Sequence[Minibatch]) -> None:
        """``learn`` with given noise, ``[S, B, ...]`` by the names of ``program.noise``."""
        if len(batches) not in (1, len(self.noise)):
            raise ValueError(f"a call makes 1 update or {len(self.noise)}, got {len(batches)} batches")
        tensors, in_burst = packed(self.program, noises, batches), batches[0].in_burst
        if (rows := batches[0].transitions.reward.shape[1]) < self.batch_size:  # Not compiled: one program per run.
            return self.compute_update(*(value[:, :rows] for value in tensors), in_burst=in_burst)
        which = -1 if in_burst else len(batches) > 1
        try:
            self.captured[which](*tensors)
        except CompileFailed as failure:
            if not self.choice.falls_back:
                raise
            self.recapture(eager_after(str(failure)))
            self.compile_failed(str(failure))
            self.captured[which](*tensors)

    def default_extras(self, transitions: Transitions) -> Mapping[str, Tensor]:
        """The program's extras for raw transitions ``[S, B, ...]`` without weights or future."""
        return self.program.default_extras(self.batch(transitions))

    def compute_update(self, *tensors: Tensor, in_burst: bool = False) -> None:
        """The whole update as one function of tensors: ``Transitions``, the program's extras, its noise, in order."""
        drawn, extra, noise = unpacked(self.program, tensors, in_burst)
        see: Callable[[Tensor], Tensor] = Tensor.float
        if self.statistics is not None and not self.program.takes_normalised:
            see = self.statistics.of_minibatch(drawn.observation, drawn.next_observation, self.moves_statistics)
        batch = batch_of(drawn, extra, see, self.rewards)
        signals: dict[str, Tensor] = {}
        for objective in self.program.objectives:
            if objective.in_bursts == in_burst:
                self._gradient_step.step(objective, batch, noise, signals)
        with torch.no_grad():
            if in_burst:
                return self.program.finish_burst_update(signals)
            self.program.finish_update(batch, noise, signals)
            self._moving_averages.move(self.updates)
            self.updates.add_(1)
            for name, value in self.reports.items():
                value.copy_(signals[name])
            self._signals.add(signals)

    def compute_updates(self, *tensors: Tensor) -> None:
        """``updates_per_call`` whole updates as one function: the tensors of the first, of the second and so on."""
        each = len(tensors) // len(self.noise)
        for start in range(0, len(tensors), each):
            self.compute_update(*tensors[start : start + each])

    def compute_burst_update(self, *tensors: Tensor) -> None:
        """One update of a burst."""
        self.compute_update(*tensors, in_burst=True)

    def drain_signals(self) -> list[dict[str, float]]:
        """Means of the signals since the last call, a dict for each seed, empty without updates. One transfer."""
        return self._signals.drain()

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name, not copies."""
        return {prefix + name: value for prefix, tensors in self.state for name, value in tensors().items()}

    @torch.no_grad()
    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Copy saved tensors into the state, in place; KeyError or RuntimeError where they are another agent's."""
        for name, tensor in self.tensors().items():
            tensor.copy_(saved[name])

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
        frozen: Mapping[str, Tensor] | None = None,
        moment: Callable[[str, Tensor], Tensor] = lambda path, value: value,
    ) -> None:
        """Replace a network; parameters that keep their path keep their optimizer state, reshaped by ``moment``.

        ``frozen`` names parameters that do not move for some seeds, each with a mask ``[S]``. Costs one recompilation.
        """
        network, self.kept = self.networks[role], None
        network.template, network.parameters, network.buffers = template, dict(parameters), dict(buffers)
        self.outlines[role] = outline
        # Not a mapping proxy, which no program can be compiled over.
        self._gradient_step.restructure(role, {} if frozen is None else frozen, moment)
        self.recapture(self.choice)

    def recapture(self, choice: Choice) -> None:
        """Capture the update, compiled or not as ``choice`` says."""
        self.choice = choice
        functions = [self.compute_update, self.compute_updates][: len(self.noise)]
        functions += [self.compute_burst_update] if self.program.burst_extras else []
        self.captured: Sequence[Callable[..., object]] = [
            capture(each, choice, self.device, lambda: [*self.tensors().values()], self.kept) for each in functions
        ]
        if takes_turns(self._agent, self.device):
            self.captured = SeedsInTurn(self, self._agent, Learner).calls(len(functions))

    def averaged_roles(self) -> dict[str, tuple[str, Stacked]]:
        """By name of an average: the network that it follows, perhaps through other averages, and the average."""
        return {name: (role, self.averages[name]) for name, role in self._averaged.items()}

    def tensors_of(self, role: str) -> Mapping[str, Tensor]:
        """Parameters, and buffers of a network, by path, not copies."""
        return self.networks[role].tensors() if role in self.networks else self.scalars[role]

    def parameters(self, role: str) -> Mapping[str, Tensor]:
        """The parameters of a network or a learned scalar by path, ``[S, C, ...]``, not copies."""
        return self._gradient_step.parameters(role)

    def batch(
        self, drawn: Transitions, extra: Mapping[str, Tensor] = MappingProxyType({}), is_normalised: bool = False
    ) -> Batch:
        """The batch of transitions ``[S, B, ...]``, normalised as acting sees them unless it is already."""
        return batch_of(drawn, extra, Tensor.float if is_normalised else self.normalised, self.rewards)

    def normalised(self, observation: Tensor) -> Tensor:
        """Raw observations ``[S, ..., d]`` normalised by the present statistics, float32."""
        return observation.float() if self.statistics is None else self.statistics.normalise(observation)

    def _generator(self, seed: int, *names: str | int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(seed, *names))
