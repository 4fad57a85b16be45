"""Supervised learning: the spec. Its loss stands in ``supervised_program.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from composer.algorithms.base import Algorithm, Evaluated, Passes, Program, Roles, UpdateSchedule
from composer.networks.heads.base import head_giving
from composer.spec.family import Spec
from composer.spec.shape import Shape
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo

MODEL = "model"


class Distillation(Spec):
    """Learning from a slow copy of oneself, beside the labels.

    ``weight * T^2 KL(softmax(teacher / T) || softmax(model / T))`` is added to the loss; the teacher is evaluated and
    not trained. Source: the loss is that of Hinton et al., arXiv:1503.02531; the Tortoise as the teacher is the
    baseline in the released code of arXiv:2406.02596. Weight and temperature are chosen here.
    """

    average: Annotated[str, Field(min_length=1, max_length=64)]
    """The teacher: the name of an average of the model."""
    weight: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    """Factor on the term."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """T: greater than 1 softens both."""


class Supervised(Algorithm, kind="supervised"):
    """Classification by the cross-entropy of a softmax, or regression: one update a batch, over one network, ``model``.

    The environment is labelled data, such as ``task_sequence``, or makes numbers, such as ``bit_flipping``; which of
    the two says whether the loss is a cross-entropy or a squared error.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "supervised", "batch_size": 128}

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a target's weight that is spread evenly over all classes."""
    logit_decay: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Spectral decoupling: half this times the mean square of the logits is added. Source: arXiv:2011.09468, Eq. 4."""
    distillation: Distillation | None = None
    """What is learned from a slow copy."""

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """One update an interaction, which is one batch."""
        return UpdateSchedule()

    def network_inputs(self, info: EnvironmentInfo) -> Mapping[str, Shape]:
        """The model reads inputs."""
        return {MODEL: info.observation}

    def trained_roles(self) -> tuple[str, ...]:
        """The model."""
        return (MODEL,)

    def evaluations(self) -> tuple[Evaluated, ...]:
        """One pass, and one of the teacher."""
        model = Evaluated(MODEL, Passes.TRAIN)
        return (model, Evaluated(self.distillation.average, Passes.FORWARD)) if self.distillation else (model,)

    def problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        """Labelled data, one network, as many logits as classes."""
        if blueprint.environment.is_simulator:
            yield "environment.kind", f"supervised learning needs labelled data, got {blueprint.environment.kind!r}"
            return
        for role in blueprint.networks:
            if role != MODEL:
                yield f"networks.{role}", f"supervised learning has no network {role!r}{suggestion(role, [MODEL])}"
        network = blueprint.networks.get(MODEL)
        if network is None:
            yield "networks", f"supervised learning needs a network {MODEL!r}"
            return
        yield from self._teacher_problems(blueprint)
        classes = blueprint.environment.info.action_size
        given = getattr(network.head, "classes", classes)
        wanted = "value" if _is_regression(blueprint) else "class_logits"
        if network.head.produces != wanted or (wanted == "value" and network.head.kind != "scalar"):
            needed = "the head 'scalar' for a regression" if wanted == "value" else head_giving(wanted, network.head)
            yield f"networks.{MODEL}.head", f"supervised learning needs {needed}"
        elif given != classes:
            yield f"networks.{MODEL}.head.classes", f"{given} classes, and the data have {classes}"
        if network.copies != 1:
            yield f"networks.{MODEL}.copies", f"supervised learning has one model, got {network.copies}"

    def build(self, roles: Roles, info: EnvironmentInfo, seeds: int, device: str) -> Program:
        """The loss over the built model."""
        from composer.algorithms.supervised_losses import SupervisedProgram

        regression = info.action_size == 1
        teacher = self.distillation
        told = (teacher.average, teacher.weight, teacher.temperature) if teacher else None
        return SupervisedProgram(roles, self.label_smoothing, self.logit_decay, regression, seeds, device, told)

    def _teacher_problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        if self.distillation is None:
            return
        name = self.distillation.average
        if name not in blueprint.averages:
            hint = suggestion(name, blueprint.averages)
            yield "algorithm.distillation.average", f"no average named {name!r}{hint}"
        if _is_regression(blueprint):
            yield "algorithm.distillation", "a regression has no probabilities to be learned from"


def _is_regression(blueprint: Blueprint) -> bool:
    # A classifier has at least two classes: one answer is a number.
    return blueprint.environment.info.action_size == 1
