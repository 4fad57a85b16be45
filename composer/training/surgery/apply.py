"""Surgery: fires the declared interventions on a learner, asserts what they promise, and records them.

Everything happens in place and between updates, so that compiled programs and optimizers keep their addresses. Nothing
is drawn from a random stream of training: a firing's noise is a function of seed, intervention and count of firings.
Legend: S seeds, C copies. Tests: tests/interventions/test_surgery.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.interventions.base import Intervention, Rewrite
from composer.interventions.clocks import ClockName, Lengths
from composer.interventions.triggers import Trigger
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName
from composer.training.profiling import timed
from composer.training.surgery.activity import UnitActivity
from composer.training.surgery.context import FiringContext
from composer.training.surgery.counts import FREQUENT, FiringCounts
from composer.training.surgery.effects import Effects, Record
from composer.training.surgery.errors import SurgeryError as SurgeryError
from composer.training.surgery.rewriting import by_parameter, squares, write
from composer.training.surgery.structures import Structures
from composer.training.surgery.waiting import Triggers

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.replay.transitions import Minibatch
    from composer.training.collect.base import TransitionSource
    from composer.training.learner import Learner

Event = dict[str, Any]
"""The record of one firing for one seed."""


class Surgery:
    """The interventions of a run, in their declared order."""

    def __init__(
        self,
        interventions: Mapping[str, Intervention],
        agent: AgentDeclaration,
        learner: Learner,
        lengths: Lengths,
        record: Callable[[int, Event], None],
        log_every: int,
        samples: TransitionSource | None = None,
        record_metrics: Record = lambda seed, metrics: None,
    ) -> None:
        """``record`` takes the index of a seed and its event; ``log_every`` are environment steps between two rows.

        ``samples`` are the run's data, for all that is measured; None where nothing will be fired. ``record_metrics``
        takes the index of a seed and measured effects.
        """
        self._learner, self._lengths, self._record_event = learner, lengths, record
        self._interventions, self._activity = interventions, UnitActivity(learner, samples, agent)
        self._outlines = dict(learner.outlines)
        self._chosen = {name: _chosen(each, self._outlines) for name, each in interventions.items()}
        count = len(learner.seeds)
        self.fired = {name: torch.zeros(count, dtype=torch.int64) for name in self._interventions}
        """Firings of each intervention, per seed."""
        self._memories = {name: self._memory(name) for name in self._interventions}
        self._structures = Structures(interventions, agent, learner, lengths, self._chosen)
        self._effects = Effects(interventions, learner, samples, record_metrics)
        self._triggers = Triggers({name: each.when for name, each in interventions.items()}, lengths, count)
        rows = max(lengths.of("env") / log_every, 1.0)
        self._frequent = {
            name
            for name, each in self._interventions.items()
            if not each.do.changes_structure and each.when.most_moments(lengths) > FREQUENT * rows
        }
        self.counts = FiringCounts()
        """Firings of frequent interventions since the last row of metrics."""

    def trigger(self, name: str) -> Trigger:
        """The trigger of an intervention."""
        return self._interventions[name].when

    @timed("interventions")
    def fire_planned(self, clock: ClockName, before: int, now: int, seeds: Tensor | None = None) -> None:
        """Fire the interventions planned in ``(before, now]`` of a clock, for every seed or those of a mask ``[S]``."""
        everyone = torch.ones(len(self._learner.seeds), dtype=torch.bool)
        self._fire_due(clock, before, now, everyone if seeds is None else seeds)

    def switched(self, seeds: Tensor, number: int) -> None:
        """Begin a phase for the ``seeds`` of a mask, and fire what is planned at switch ``number`` (from 1)."""
        if (start := self._learner.hyperparameters.phase_start) is not None:
            start[seeds] = self._learner.updates[seeds]
        self._fire_due("phase", number - 1, number, seeds)

    def roles(self, name: str) -> tuple[str, ...]:
        """The networks and scalars that an intervention changes."""
        return tuple(dict.fromkeys(role for role, _ in self._chosen[name]))

    def due(self, clock: ClockName, before: int, now: int) -> bool:
        """Whether a firing is planned in ``(before, now]`` of a clock."""
        return any(self._triggers.due(name, clock, before, now) for name in self._interventions)

    def _fire_due(self, clock: ClockName, before: int, now: int, seeds: Tensor) -> None:
        for name in self._interventions:
            if due := self._triggers.due(name, clock, before, now):
                met = self._triggers.met(name, seeds, self.fired[name], {clock: now}, due)
                self._fire_for(name, met, {clock: now})

    def fire_on_metrics(self, seed: int, metrics: Mapping[str, float], now: Mapping[ClockName, int]) -> None:
        """Fire the interventions that a row of metrics of one seed (its index) triggers; ``now`` holds the clocks."""
        only = torch.arange(len(self._learner.seeds)) == seed
        for name in self._triggers.read(seed, metrics):
            clock = self.trigger(name).clock
            self._fire_for(name, self._triggers.met(name, only, self.fired[name], now), {clock: now[clock]})

    def _fire_for(self, name: str, seeds: Tensor | None, at: Mapping[ClockName, int]) -> None:
        if seeds is not None:
            with self._effects.measured(name, self.fired[name], seeds):
                self._fire(name, seeds, at)

    def record_counts(self) -> None:
        """Record what frequent firings did since the last call, an event per seed and intervention."""
        for seed, event in self.counts.drain():
            self._record_event(seed, {**event, "firing": int(self.fired[event["name"]][seed])})

    def tensors(self) -> dict[str, Tensor]:
        """The state of interventions by name, not copied."""
        named = {f"interventions/{name}/fired": value for name, value in self.fired.items()}
        for name, memory in self._memories.items():
            named |= {f"interventions/{name}/memory/{role}/{path}": value for (role, path), value in memory.items()}
        others = (*self._triggers.tensors(), *self._structures.tensors())
        return named | {f"interventions/{name}/{key}": value for name, key, value in others}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Restore the firings of a checkpoint, and the structure that they gave to networks."""
        for name, value in self.tensors().items():
            value.copy_(saved[name])
        self._structures.restore(self.fired)
        self._choose()

    def learned(self, batches: Sequence[Minibatch]) -> None:
        """Called after each call of ``Learner.learn``: a twin learns from the same minibatches."""
        self._structures.learned(batches)

    def _choose(self) -> None:
        """Select parameters, of networks that grow as these are now; what an injection adds is not chosen."""
        self._outlines |= {role: self._learner.outlines[role] for role in self._structures.grown}
        self._chosen = {name: _chosen(each, self._outlines) for name, each in self._interventions.items()}
        self._activity.forget()

    def _memory(self, name: str) -> dict[ParameterName, Tensor]:
        learner, shapes = self._learner, self._interventions[name].do.memory(self._learner.outlines, self._chosen[name])
        members = {role: next(iter(learner.parameters(role).values())).shape[:2] for role, _ in shapes}
        return {
            parameter: torch.zeros(*members[parameter[0]], *shape, dtype=torch.float64, device=learner.device)
            for parameter, shape in shapes.items()
        }

    @torch.no_grad()
    def _fire(self, name: str, seeds: Tensor, at: Mapping[ClockName, int]) -> None:
        each = self._interventions[name]
        random_before = torch.get_rng_state()
        facts = self._structures.fire(name, self.fired[name], seeds)
        if name in self._structures.growths:
            self._choose()
        context = FiringContext(self._learner, self._activity, name, self.fired[name], self._memories[name])
        rewrites = self._rewrites(name, context, seeds)
        averages = self._averages(each, name, rewrites)
        report = [self._operate(each, parameter, mine, seeds) for parameter, mine in by_parameter(rewrites).items()]
        for values, rewrite in averages:
            write(values[rewrite.parameter[1]], rewrite, seeds)
        if each.schedules == "restart":
            chosen = {role for role, _ in self._chosen[name]}
            for optimizer in (held for role, held in self._learner.optimizers.items() if role in chosen):
                optimizer.begin_schedules(seeds)
        self.fired[name][seeds] += 1
        if not torch.equal(random_before, torch.get_rng_state()):
            raise SurgeryError(f"the intervention {name!r} drew from torch's global random numbers")
        if rewrites or facts:  # An operation that changed nothing leaves no event.
            self._record(name, seeds, report, context.counts, {"at": dict(at), **facts})

    def _rewrites(self, name: str, context: FiringContext, seeds: Tensor) -> list[Rewrite]:
        """An operation's rewrites; the memory of seeds that do not fire stays as it was."""
        kept = {parameter: value.clone() for parameter, value in self._memories[name].items()}
        rewrites = list(self._interventions[name].do.rewrites(context, self._chosen[name]))
        for parameter, value in self._memories[name].items():
            write(value, Rewrite(parameter, kept[parameter]), ~seeds)
        return rewrites

    def _operate(
        self, each: Intervention, parameter: ParameterName, rewrites: Sequence[Rewrite], seeds: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Write one parameter and its optimizer state; returns changed entries and squared norms before and after."""
        role, path = parameter
        value = self._learner.tensors_of(role)[path]
        old = value.detach().clone()
        for rewrite in rewrites:
            write(value, rewrite, seeds)
        if not torch.isfinite(value).all():
            raise SurgeryError(f"{role}.{path} is not finite after the intervention")
        optimizer = self._learner.optimizers.get(role)
        if optimizer is not None and value.requires_grad and each.moments != "keep":
            chosen = [rewrite.entries for rewrite in rewrites if rewrite.forgets]
            for moment in optimizer.moments(path) if each.moments != "steps" else ():
                for entries in chosen if each.moments == "chosen" else [None]:
                    write(moment, Rewrite(parameter, torch.zeros_like(moment), entries), seeds)
            if each.moments == "zero":
                optimizer.begin_anew(path, seeds)
            if each.moments == "steps":
                optimizer.count(path)[seeds] = 0
        return (old != value).flatten(1).sum(1), squares(old), squares(value)

    def _averages(
        self, each: Intervention, name: str, rewrites: Sequence[Rewrite]
    ) -> list[tuple[dict[str, Tensor], Rewrite]]:
        """Rewrites of the averages of changed networks."""
        found = []
        for average, (of, network) in self._learner.averaged_roles().items():
            mine = [rewrite for rewrite in rewrites if rewrite.parameter[0] == of]
            if each.target == "own":
                context = FiringContext(self._learner, self._activity, name, self.fired[name], {}, average)
                chosen = [parameter for parameter in self._chosen[name] if parameter[0] == of]
                mine = list(each.do.rewrites(context, chosen))
            if each.target != "keep":
                found += [(network.tensors(), rewrite) for rewrite in mine]
        return found

    def _record(
        self,
        name: str,
        seeds: Tensor,
        report: Sequence[tuple[Tensor, Tensor, Tensor]],
        counts: Mapping[str, Tensor],
        facts: Event,
    ) -> None:
        """Record one event per seed, with one transfer to the host; of frequent firings only count."""
        report = report or [(torch.zeros(len(seeds)),) * 3]
        columns = [torch.stack([values.double() for values in column]).sum(0) for column in zip(*report, strict=True)]
        if name in self._frequent:
            sums = {"entries_changed": columns[0]} | {key: value.double() for key, value in counts.items()}
            norms = {"norm_before": columns[1].sqrt(), "norm_after": columns[2].sqrt()}
            return self.counts.add(name, seeds, sums, norms, facts["at"])
        totals = torch.stack([*columns, *(value.double() for value in counts.values())]).cpu()
        for seed in torch.nonzero(seeds).flatten().tolist():
            changed, before, after, *values = totals[:, seed].tolist()
            numbers = {"firing": int(self.fired[name][seed]), "entries_changed": int(changed)}
            norms = {"norm_before": before**0.5, "norm_after": after**0.5}
            own = {key: value[seed] if isinstance(value, list) else value for key, value in facts.items()}
            own |= {key: int(value) for key, value in zip(counts, values, strict=True)}
            self._record_event(seed, {"name": name, **numbers, **norms, **own})


def _chosen(each: Intervention, outlines: Mapping[str, Outline]) -> tuple[ParameterName, ...]:
    """The chosen parameters, and the running statistics of networks that are chosen whole where these move too."""
    parameters = each.where.select(outlines)
    statistics = [
        (role, path)
        for role, outline in outlines.items()
        for path, plan in outline.named_buffers()
        if plan.kind == "statistic" and {(role, name) for name, _ in outline.named_parameters()} <= set(parameters)
    ]
    return (*parameters, *statistics) if each.do.moves_statistics else parameters
