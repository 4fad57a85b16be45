"""Adam (arXiv:1412.6980) and AdamW (arXiv:1711.05101), with declared decay masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from composer.optim.base import Optimizer, matches, unmatched
from composer.optim.schedules import Constant, Positive
from composer.spec.wording import spelled, suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.steps import AdamState


MaxGradientNorm = Annotated[float, Field(gt=0, le=1e9)] | None


class Adam(Optimizer, kind="adam"):
    """Adam with bias correction and no weight decay. Source: arXiv:1412.6980, algorithm 1."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "adam", "learning_rate": 3e-4}

    learning_rate: Positive = Constant(value=1e-3)
    """Step size, a number or a schedule over updates."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the root of the second moment."""
    max_gradient_norm: MaxGradientNorm = None
    """Bound of the norm of a seed's gradient, over all parameters and copies; longer gradients are scaled down to it.
    Absent: no bound."""

    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> AdamState:
        """Moments and step counts of zero."""
        from composer.optim.steps import AdamState

        return AdamState(
            parameters,
            hyperparameters,
            self.learning_rate,
            self.beta1,
            self.beta2,
            self.epsilon,
            weight_decay=0.0,
            decayed=(),
            max_gradient_norm=self.max_gradient_norm,
        )

    def moments(self) -> int:
        """Two: first and second moment."""
        return 2


class AdamW(Optimizer, kind="adamw"):
    """Adam with decoupled weight decay. Source: arXiv:1711.05101, algorithm 2 (decay scaled by the learning rate)."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "adamw", "learning_rate": 1e-4, "weight_decay": 1e-2}

    learning_rate: Positive = Constant(value=1e-3)
    """Step size, a number or a schedule over updates."""
    weight_decay: float = Field(default=1e-2, ge=0, le=10)
    """Each step multiplies the decayed parameters by ``1 - learning_rate * weight_decay``."""
    decay: list[str] = Field(default=["*"], max_length=64)
    """Globs of parameter paths that decay: ``["*"]`` includes biases and norms, ``["*weight"]`` only weights."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the root of the second moment."""
    max_gradient_norm: MaxGradientNorm = None
    """Bound of the norm of a seed's gradient, over all parameters and copies; longer gradients are scaled down to it.
    Absent: no bound."""

    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> AdamState:
        """Moments and step counts of zero; the decay mask is fixed here."""
        from composer.optim.steps import AdamState

        decayed = [path for path in parameters if matches(self.decay, path)]
        return AdamState(
            parameters,
            hyperparameters,
            self.learning_rate,
            self.beta1,
            self.beta2,
            self.epsilon,
            self.weight_decay,
            decayed,
            self.max_gradient_norm,
        )

    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        """Globs that match no parameter."""
        known = list(paths)
        for glob in unmatched(self.decay, known):
            yield "decay", f"{spelled(glob)} matches no parameter{suggestion(glob, known)}"

    def moments(self) -> int:
        """Two: first and second moment."""
        return 2
