"""Supervised learning: the spec. Its loss is in ``supervised_losses.py``. Tests: tests/papers/test_supervised.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm
from composer.algorithms.declared import Evaluated, Passes, Role, UpdateSchedule
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import Spec
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from composer.algorithms.program import Program, Roles
    from composer.optim.hyperparameters import Hyperparameters

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

    @property
    def title(self) -> str:
        """In words."""
        return "supervised learning"

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        return (Role(MODEL, info.observation, "value" if _is_regression(info) else "class_logits"),)

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return (MODEL,)

    def evaluations(self) -> tuple[Evaluated, ...]:
        """One pass, and one of the teacher."""
        model = Evaluated(MODEL, Passes.TRAIN)
        return (model, Evaluated(self.distillation.average, Passes.FORWARD)) if self.distillation else (model,)

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        if environment.is_simulator:
            yield "environment.kind", f"supervised learning needs labelled data, got {environment.kind!r}"

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        yield from self._teacher_problems(agent)
        model, classes = agent.networks.get(MODEL), agent.info.action_size
        given = getattr(model.head, "classes", classes) if model else classes
        if model and _is_regression(agent.info) and model.head.kind != "scalar":
            yield f"networks.{MODEL}.head", "supervised learning needs the head 'scalar' for a regression"
        elif given != classes:
            yield f"networks.{MODEL}.head.classes", f"{given} classes, and the data have {classes}"

    @override
    def build(self, roles: Roles, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.supervised_losses import SupervisedProgram

        regression = _is_regression(info)
        teacher = self.distillation
        told = (teacher.average, teacher.weight, teacher.temperature) if teacher else None
        return SupervisedProgram(roles, self.label_smoothing, self.logit_decay, regression, hyperparameters, told)

    def _teacher_problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        if self.distillation is None:
            return
        name = self.distillation.average
        if name not in agent.averages:
            hint = suggestion(name, agent.averages)
            yield "algorithm.distillation.average", f"no average named {name!r}{hint}"
        if _is_regression(agent.info):
            yield "algorithm.distillation", "a regression has no probabilities to be learned from"


def _is_regression(info: EnvironmentInfo) -> bool:
    """A classifier has at least two classes: one answer is a number."""
    return info.action_size == 1
