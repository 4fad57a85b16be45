"""Labelled data in phases: a part of them first, labels of chance among them, then everything; one task, then another.

Nothing here loads data. What a phase holds is drawn in ``composer.training.collect.phase_batches``.
Tests: tests/environments/test_phases.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from composer.environments.base import PlannedStage
from composer.environments.interface import EnvironmentInfo
from composer.environments.labelled.task_sequence import Labelled
from composer.spec.family import Items, Spec

Count = Annotated[int, Field(ge=1, le=10**9)]
Share = Annotated[float, Field(ge=0, le=1)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
Shares = Annotated[
    Items[Share],
    Field(min_length=1, max_length=1_000),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [_SHARE, {"type": "array", "items": _SHARE, "minItems": 1, "maxItems": 1_000}]}),
]
"""Shares of 0 to 1: a list, or one number for a list of one."""


class Augmentation(Spec):
    """How pictures are changed anew whenever they come: the usual one for CIFAR, as in He et al., arXiv:1512.03385."""

    crop: Annotated[int, Field(ge=0, le=64)] = 4
    """Pixels of black border from which a picture of the old size is cut, at a random place; 0 cuts nothing."""
    flip: bool = True
    """Whether every other picture, by chance, is mirrored left to right."""


class EarlyStopping(Spec):
    """A phase ends when the held-out loss has not fallen for a while; seed by seed.

    The loss is the cross-entropy of the model that evaluations judge (``evaluation.acting``) on what is held out.
    """

    patience: Annotated[int, Field(ge=1, le=10**6)]
    """Readings in a row that are no better than the best before them, at which the phase ends."""
    every: Count
    """Updates between two readings."""


class Phase(Spec):
    """A stretch of training on a part of the data."""

    updates: Count | None = None
    """Gradient updates that it lasts; the last phase may leave this out and lasts to the end of the run."""
    epochs: Count | None = None
    """The same in passes over what it holds."""
    chunks: Annotated[int, Field(ge=1, le=1_000)] = 1
    """So many phases in a row, each as long as this one; the k-th holds ``k / chunks`` of the subset."""
    subset: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the samples; a smaller subset is part of every larger one."""
    label_noise: Shares = (0.0,)
    """Share of the subset whose labels are wrong ones, drawn anew at each phase; or a list, one for each chunk."""
    classes: Annotated[Items[Annotated[int, Field(ge=0, le=65_535)]], Field(max_length=65_536)] = ()
    """Only samples of these classes, held-out ones too; all where it is left out."""
    permutation: Annotated[int, Field(ge=0, le=10**9)] = 0
    """In which order the entries of an input come: 0 as they are, another number a random order of its own."""
    early_stopping: EarlyStopping | None = None
    """When the phase ends before its time."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.updates is not None and self.epochs is not None:
            raise PydanticCustomError("phase_length", "give one of 'updates' and 'epochs', got both")
        if len(self.label_noise) not in (1, self.chunks):
            raise PydanticCustomError(
                "phase_noise",
                "'label_noise' lists {given} shares for {chunks} chunks",
                {"given": len(self.label_noise), "chunks": self.chunks},
            )
        if len(set(self.classes)) != len(self.classes):
            raise PydanticCustomError("phase_classes", "'classes' names a class twice")
        return self

    @property
    def is_open(self) -> bool:
        """Whether it lasts to the end of the run."""
        return self.updates is None and self.epochs is None

    def noise(self, chunk: int) -> float:
        """Of one chunk, from 0."""
        return self.label_noise[chunk % len(self.label_noise)]

    def split(self) -> Iterator[Phase]:
        """The phases that it stands for."""
        for chunk in range(self.chunks):
            share = self.subset * (chunk + 1) / self.chunks
            yield self.model_copy(update={"chunks": 1, "subset": share, "label_noise": (self.noise(chunk),)})


class Phases(Labelled, kind="phases"):
    """One data set in phases: warm starts, cumulative chunks, switches of task.

    A subset is the beginning of one random order of the samples, another for every seed, so that later phases hold what
    earlier ones did. Models are judged on what the data hold out, of the classes and in the order of the present phase;
    the signal ``model/accuracy`` is that of training batches, wrong labels included. What should happen to a network
    when the phase changes is an intervention on the clock ``phase``. Bytes are standardised: divided by 255, less the
    mean of their channel over all samples, over its standard deviation.
    Source: Ash and Adams, arXiv:1910.08475 (warm starts); Lee et al., arXiv:2406.02596 (noise, chunks).
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "phases",
        "data": {"kind": "digits", "samples": 1_437, "held_out": 360},
        "phases": [{"updates": 1_000, "subset": 0.1, "label_noise": 0.5}, {}],
    }

    phases: Annotated[Items[Phase], Field(min_length=1, max_length=1_000)]
    """What comes, in order."""
    augmentation: Augmentation | None = None
    """How pictures are changed whenever they come; the ones that are judged are not."""

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

    @property
    def plan(self) -> tuple[Phase, ...]:
        """Every phase, chunks one by one."""
        return tuple(each for phase in self.phases for each in phase.split())

    @property
    def stages_differ_by_seed(self) -> bool:
        """Whether a phase may end early."""
        return any(phase.early_stopping for phase in self.phases)

    def samples_in(self, phase: Phase) -> int:
        """Samples that a phase holds where classes are of equal size; the classes of the data decide."""
        share = len(phase.classes) / self.data.info.classes if phase.classes else 1.0
        return max(round(phase.subset * share * self.data.info.size), 1)

    def epoch_of(self, phase: Phase, batch_size: int) -> int:
        """Whole batches of a pass over what a phase holds."""
        return max(self.samples_in(phase) // batch_size, 1)

    def length_of(self, phase: Phase, batch_size: int) -> int | None:
        """Batches that a phase lasts at most; None to the end of the run."""
        return phase.updates if phase.epochs is None else phase.epochs * self.epoch_of(phase, batch_size)

    def starts(self, batch_size: int) -> tuple[int, ...]:
        """Batches before each phase, none ending early."""
        found = [0]
        for phase in self.plan[:-1]:
            found.append(found[-1] + (self.length_of(phase, batch_size) or 0))
        return tuple(found)

    def phase_of(self, interactions: int, batch_size: int) -> int:
        """The number, from 0, of the phase that batch ``interactions`` (from 0) belongs to, none ending early."""
        return sum(start <= interactions for start in self.starts(batch_size)) - 1

    def describe(self) -> EnvironmentInfo:
        """Inputs as observations, classes as the action size, an answer as an episode."""
        return EnvironmentInfo(self.data.info.shape, self.data.info.classes, 1, 1, terminates=False)

    def epoch_interactions(self, batch_size: int) -> int:
        """Of the last phase, which holds the most as a rule."""
        return 0 if self.stages_differ_by_seed else self.epoch_of(self.plan[-1], batch_size)

    def epochs_by(self, interactions: int, batch_size: int) -> int:
        """Summed over phases; 0 where phases may end early, at another time for every seed."""
        if self.stages_differ_by_seed:
            return 0
        done, starts = 0, self.starts(batch_size)
        for phase, start, end in zip(self.plan, starts, (*starts[1:], interactions), strict=True):
            done += max(min(end, interactions) - start, 0) // self.epoch_of(phase, batch_size)
        return done

    def epoch_end(self, epochs: int, batch_size: int) -> int:
        """The batch after which so many passes are done."""
        left, starts, plan = epochs, self.starts(batch_size), self.plan
        for phase, start, end in zip(plan, starts, starts[1:], strict=False):
            passes = (end - start) // self.epoch_of(phase, batch_size)
            if left <= passes:
                return start + left * self.epoch_of(phase, batch_size)
            left -= passes
        return starts[-1] + left * self.epoch_of(plan[-1], batch_size)

    def stages(self, batch_size: int) -> tuple[PlannedStage, ...]:
        """The phases."""
        plan, keys = self.plan, [f"environment.phases[{i}]" for i, each in enumerate(self.phases) for _ in each.split()]
        return tuple(
            PlannedStage(start, key, f"phase {index} of {len(plan)}: {self._told(phase)}")
            for index, (phase, start, key) in enumerate(zip(plan, self.starts(batch_size), keys, strict=True), 1)
        )

    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        """Held-out data, batches that phases can fill, classes that exist, phases that the run reaches."""
        batch, length, data, info = batch_size, env_steps, self.data, self.data.info
        if not info.held_out:
            yield "environment.data", f"models are judged on what is held out, and {data.kind!r} holds nothing out here"
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
            if smallest < batch:
                yield f"{key}.subset", f"{smallest:,} samples, and a batch takes {batch:,} (algorithm.batch_size)"
            if stage >= length:
                yield key, f"begins after {stage:,} updates, and the run ends at {length:,} (training.env_steps)"
            if phase.early_stopping and switched:
                message = "seeds would be in different tasks; it goes with neither 'classes' nor 'permutation'"
                yield f"{key}.early_stopping", message
        last = self.length_of(self.plan[-1], batch)
        planned = self.starts(batch)[-1] + (last or 0)
        if last is not None and not self.stages_differ_by_seed and planned != length:
            yield "training.env_steps", f"the phases last {planned:,} updates, and the run {length:,}"

    def _firsts(self, batch: int) -> Iterator[int]:
        starts, at = self.starts(batch), 0
        for phase in self.phases:
            yield starts[at]
            at += phase.chunks

    def _told(self, phase: Phase) -> str:
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
