"""Labelled data in phases: warm starts on a subset with noisy labels, growing subsets, switches of task.

Nothing here loads data. ``composer.training.collect.phase_batches`` draws the samples of a phase.
Tests: tests/environments/test_phases.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.environments.declared import PlannedStage, SmallerBatches
from composer.environments.interface import EnvironmentInfo
from composer.environments.labelled.phase import Augmentation, Phase, Standardization
from composer.environments.labelled.task_sequence import Labelled
from composer.spec.family import Items
from composer.spec.metrics import Metric
from composer.spec.without import Without


class Phases(Labelled, kind="phases"):
    """One data set in phases: warm starts, cumulative chunks, switches of task.

    A subset is the beginning of one random order of the samples, drawn for each seed, so that a larger subset contains
    every smaller one. Evaluations use held-out samples, with the classes and the input order of the present phase; the
    signal ``model/accuracy`` is that of training batches, wrong labels included. Interventions on the clock ``phase``
    act on networks when the phase changes. Bytes are divided by 255 and standardised per channel over all samples.
    Source: Ash and Adams, arXiv:1910.08475 (warm starts); Lee et al., arXiv:2406.02596 (noise, chunks).
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "phases",
        "data": {"kind": "digits", "samples": 1_437, "held_out": 360},
        "phases": [{"updates": 1_000, "subset": 0.1, "label_noise": 0.5}, {}],
    }

    phases: Annotated[Items[Phase], Field(min_length=1, max_length=1_000)]
    """The phases, in order."""
    augmentation: Annotated[Augmentation | None, Without(None)] = None
    """Random changes of training pictures; held-out ones are not changed."""
    standardization: Standardization | None = None
    """Moments that pictures are standardised by; absent: those of all training samples."""

    @model_validator(mode="after")
    def _follow_each_other(self) -> Self:
        for index, phase in enumerate(self.phases[:-1]):
            if phase.is_open:
                raise PydanticCustomError(
                    "phase_open",
                    "phase {at} has no length, and is not the last; give 'updates' or 'epochs'",
                    {"at": index + 1},
                )
        last = self.phases[-1]
        if last.is_open and last.chunks > 1:
            raise PydanticCustomError("phase_chunks", "chunks have a length each; give 'updates' or 'epochs'")
        if last.early_stopping:
            raise PydanticCustomError("phase_last", "nothing follows the last phase: it has no 'early_stopping'")
        return self

    @cached_property
    def plan(self) -> tuple[Phase, ...]:
        """Every phase, chunks one by one."""
        return tuple(each for phase in self.phases for each in phase.split())

    @property
    def stages_differ_by_seed(self) -> bool:
        """Whether a phase may end early."""
        return any(phase.early_stopping for phase in self.phases)

    @override
    def training_metrics(self) -> tuple[Metric, ...]:
        held_out = Metric(
            "training/held_out_loss",
            "loss on held-out samples at the last check of early stopping",
            "loss",
            0,
            condition="from the first check of early stopping on",
        )
        phase = Metric("training/phase", "the phase, from 1", low=1, high=len(self.plan))
        return (phase, held_out) if self.stages_differ_by_seed else (phase,)

    def samples_in(self, phase: Phase) -> int:
        """Samples of a phase if classes are of equal size; the actual number depends on the labels."""
        share = len(phase.classes) / self.data.info.classes if phase.classes else 1.0
        return max(round(phase.subset * share * self.data.info.size), 1)

    def epoch_of(self, phase: Phase, batch_size: int) -> int:
        """Batches of one pass over the samples of a phase."""
        return self.batches_of(self.samples_in(phase), batch_size)

    @override
    def smaller_batches(self, batch_size: int) -> tuple[SmallerBatches, ...]:
        planned = zip(self.plan, self.starts(batch_size), strict=True)
        found = ((start, self.epoch_of(each, batch_size), self.samples_in(each)) for each, start in planned)
        return tuple(
            SmallerBatches(start, every, rest)
            for start, every, samples in found
            if (rest := self.rest_of(samples, batch_size))
        )

    def length_of(self, phase: Phase, batch_size: int) -> int | None:
        """Planned length of a phase in batches; None lasts to the end of the run."""
        return phase.updates if phase.epochs is None else phase.epochs * self.epoch_of(phase, batch_size)

    def starts(self, batch_size: int) -> tuple[int, ...]:
        """Batches before each phase, if none ends early."""
        found = [0]
        for phase in self.plan[:-1]:
            found.append(found[-1] + (self.length_of(phase, batch_size) or 0))
        return tuple(found)

    def phase_of(self, interactions: int, batch_size: int) -> int:
        """The phase, from 0, of batch number ``interactions`` (from 0), if none ends early."""
        return sum(start <= interactions for start in self.starts(batch_size)) - 1

    def describe(self) -> EnvironmentInfo:
        """Observations are inputs, the action size is the number of classes, and an answer is an episode."""
        return EnvironmentInfo(self.data.info.shape, self.data.info.classes, 1, 1, terminates=False)

    def epoch_interactions(self, batch_size: int) -> int:
        """Batches of one pass over the last phase, usually the largest; 0 where phases may end early."""
        return 0 if self.stages_differ_by_seed else self.epoch_of(self.plan[-1], batch_size)

    def epochs_by(self, interactions: int, batch_size: int) -> int:
        """Passes summed over phases; 0 where phases may end early, for then they differ by seed."""
        if self.stages_differ_by_seed:
            return 0
        done, starts = 0, self.starts(batch_size)
        for phase, start, end in zip(self.plan, starts, (*starts[1:], interactions), strict=True):
            done += max(min(end, interactions) - start, 0) // self.epoch_of(phase, batch_size)
        return done

    @override
    def epoch_end(self, epochs: int, batch_size: int) -> int:
        left, starts, plan = epochs, self.starts(batch_size), self.plan
        for phase, start, end in zip(plan, starts, starts[1:], strict=False):
            passes = (end - start) // self.epoch_of(phase, batch_size)
            if left <= passes:
                return start + left * self.epoch_of(phase, batch_size)
            left -= passes
        return starts[-1] + left * self.epoch_of(plan[-1], batch_size)

    @override
    def stages(self, batch_size: int) -> tuple[PlannedStage, ...]:
        plan, keys = self.plan, [f"environment.phases[{i}]" for i, each in enumerate(self.phases) for _ in each.split()]
        return tuple(
            PlannedStage(start, key, f"phase {index} of {len(plan)}: {self._description(phase)}")
            for index, (phase, start, key) in enumerate(zip(plan, self.starts(batch_size), keys, strict=True), 1)
        )

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        batch, length, data, info = batch_size, env_steps, self.data, self.data.info
        if not info.held_out:
            yield "environment.data", f"evaluations need held-out samples, and {data.kind!r} holds nothing out here"
        if self.augmentation and len(info.shape) != 3:
            yield "environment.augmentation", f"pictures are cropped and flipped; an input here is {list(info.shape)}"
        if self.regression and any(phase.classes for phase in self.phases):
            yield "environment.phases", f"{data.kind!r} asks for numbers: there are no 'classes' to choose from"
        switched = any(phase.classes or phase.permutation for phase in self.phases)
        for index, (phase, stage) in enumerate(zip(self.phases, self._firsts(batch), strict=True)):
            key = f"environment.phases[{index}]"
            if any(each >= info.classes for each in phase.classes):
                yield f"{key}.classes", f"no class {max(phase.classes)}: the data have {info.classes}, from 0"
            smallest = self.samples_in(next(phase.split()))
            if smallest < batch and self.last_batch == "drop":
                yield f"{key}.subset", f"{smallest:,} samples, and a batch takes {batch:,} (algorithm.batch_size)"
            if stage >= length:
                yield key, f"begins after {stage:,} updates, and the run ends at {length:,} (training.env_steps)"
            if phase.early_stopping and switched:
                message = "seeds would be in different tasks; it goes with neither 'classes' nor 'permutation'"
                yield f"{key}.early_stopping", message
        yield from self._standardization_problems()
        yield from self._length_problems(batch, length, seeds)

    def _standardization_problems(self) -> Iterator[tuple[str, str]]:
        if (given := self.standardization) is None:
            return
        shape = self.data.info.shape
        if len(shape) != 3:
            yield "environment.standardization", f"pictures have channels; an input here is {list(shape)}"
        elif wrong := [name for name in ("mean", "deviation") if len(getattr(given, name)) != shape[0]]:
            message = f"{len(getattr(given, wrong[0]))} numbers, and the pictures have {shape[0]} channels"
            yield f"environment.standardization.{wrong[0]}", message

    def _length_problems(self, batch: int, length: int, seeds: int) -> Iterator[tuple[str, str]]:
        if self.stages_differ_by_seed:
            if seeds > 1 and self.smaller_batches(batch):
                message = "seeds may be in different phases, whose last batches differ in size: 'drop' them here"
                yield "environment.last_batch", message
            return
        last = self.length_of(self.plan[-1], batch)
        planned = self.starts(batch)[-1] + (last or 0)
        if last is not None and planned != length:
            yield "training.env_steps", f"the phases last {planned:,} updates, and the run {length:,}"

    @override
    def warnings(self, batch_size: int) -> Iterator[tuple[str, str]]:
        for index, phase in enumerate(self.phases):
            stop, lengths = phase.early_stopping, [self.length_of(each, batch_size) for each in phase.split()]
            longest = max(length or 0 for length in lengths)
            # The first reading is the one that the others are compared with.
            if stop is not None and (stop.patience + 1) * stop.every > longest:
                needed = f"{stop.patience + 1:,} readings, {stop.every:,} updates apart"
                message = f"never ends the phase early: that takes {needed}, and it lasts {longest:,} updates"
                yield f"environment.phases[{index}].early_stopping", message

    def _firsts(self, batch: int) -> Iterator[int]:
        starts, at = self.starts(batch), 0
        for phase in self.phases:
            yield starts[at]
            at += phase.chunks

    def _description(self, phase: Phase) -> str:
        words = [f"{100 * phase.subset:.4g} % of {self.data.info.size:,} samples"]
        if phase.noise(0):
            words.append(f"{100 * phase.noise(0):.4g} % of labels wrong")
        if phase.classes:
            words.append(f"{len(phase.classes)} of {self.data.info.classes} classes")
        if phase.permutation:
            words.append(f"inputs in order {phase.permutation}")
        if phase.early_stopping:
            words.append("may end early")
        return ", ".join(words)
