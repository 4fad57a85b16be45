"""Supervised learning: the spec. Its loss is in ``supervised_losses.py``. Tests: tests/papers/test_supervised.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm
from composer.algorithms.declared import Evaluated, Passes, Role, UpdateSchedule
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import Spec
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.networks.heads.base import Head
    from composer.optim.hyperparameters import Hyperparameters

MODEL = "model"


class Distillation(Spec):
    """Distillation from an average of the model: ``weight * T^2 KL(softmax(teacher / T) || softmax(model / T))``.

    The term is added to the loss; the teacher is not trained. Source: the loss of Hinton et al., arXiv:1503.02531; the
    Tortoise as teacher is the baseline in the released code of arXiv:2406.02596. Weight and temperature are ours.
    """

    average: Annotated[str, Field(min_length=1, max_length=64)]
    """The teacher: the name of an average of the model."""
    weight: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    """Factor on the term."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """T: values above 1 soften both distributions."""


class Supervised(Algorithm, kind="supervised"):
    """Classification by cross-entropy, or regression by squared error, with one network, ``model``: one update a batch.

    The environment is labelled data. With classes, as in ``task_sequence``, the loss is a cross-entropy; with numbers,
    as in ``bit_flipping``, a squared error; or the cross-entropy of a ``categorical_value`` head, whose mean is the
    answer (regression as classification, Farebrother et al., arXiv:2403.03950), or the loss of a ``quantile`` head.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "supervised", "batch_size": 128}

    label_smoothing: Annotated[float, Field(ge=0, lt=1), Without(0)] = 0.0
    """Probability that targets spread evenly over all classes."""
    logit_decay: Annotated[float, Field(ge=0, le=100), Without(0)] = 0.0
    """Spectral decoupling: half this times the mean square of the logits is added. Source: arXiv:2011.09468, Eq. 4."""
    distillation: Annotated[Distillation | None, Without(None)] = None
    """Distillation from an average of the model."""

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        return Start(
            {"batch_size": 128}, learns_from_labels=True, optimizers={MODEL: {"kind": "adam", "learning_rate": 1e-3}}
        )

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """One update per interaction, which is one batch."""
        return UpdateSchedule()

    @property
    @override
    def title(self) -> str:
        return "supervised learning"

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        return (Role(MODEL, info.observation, "value" if _is_regression(info) else "class_logits"),)

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return (MODEL,)

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        found = [loss("model/loss", "the model's loss, without distillation")]
        if not _is_regression(info):
            found.append(Metric("model/accuracy", "accuracy on training batches, wrong labels included", "share", 0, 1))
        if self.distillation:
            found.append(loss("model/distillation", "divergence from the teacher, not weighted"))
        return tuple(found)

    def evaluations(self) -> tuple[Evaluated, ...]:
        """One pass of the model, and one of a teacher."""
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
        if model and _is_regression(agent.info) and not _gives_number(model.head):
            message = "supervised learning needs the head 'scalar' for a regression, or 'categorical_value'"
            yield f"networks.{MODEL}.head", message
        elif given != classes:
            yield f"networks.{MODEL}.head.classes", f"{given} classes, and the data have {classes}"

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.supervised_losses import SupervisedProgram

        regression = _is_regression(info)
        teacher = self.distillation
        distilled = (teacher.average, teacher.weight, teacher.temperature) if teacher else None
        return SupervisedProgram(built, self.label_smoothing, self.logit_decay, regression, hyperparameters, distilled)

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


def _gives_number(head: Head) -> bool:
    """Whether the raw output is one array from which a number is read: an expectation, or a layer of a distribution."""
    return head.produces == "value" and (head.gives_expectation or head.is_chain)
