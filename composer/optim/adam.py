"""Adam (arXiv:1412.6980), RAdam (arXiv:1908.03265) and AdamW (arXiv:1711.05101), with declared decay masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.base import Optimizer, matching, unmatched
from composer.optim.schedules import Constant, Positive, highest
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.steps import AdamState


class AdamFamily(Optimizer, abstract=True):
    """The settings of Adam, with or without weight decay."""

    learning_rate: Annotated[Positive, Without(highest)] = Constant(value=1e-3)
    """Step size, a number or a schedule over updates."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the root of the second moment."""
    max_gradient_norm: Annotated[Annotated[float, Field(gt=0, le=1e9)] | None, Without(None)] = None
    """Bound of the norm of a seed's gradient, over all parameters and copies; longer gradients are scaled down to it.
    Absent: no bound."""

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> AdamState:
        return self._state(parameters, hyperparameters)

    @override
    def moments(self) -> int:
        return 2

    def _state(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        weight_decay: float = 0.0,
        decayed: Sequence[str] = (),
        rectifies: bool = False,
    ) -> AdamState:
        from composer.optim.steps import AdamState

        betas = self.beta1, self.beta2, self.epsilon
        rest = weight_decay, decayed, self.max_gradient_norm
        return AdamState(parameters, hyperparameters, self.learning_rate, *betas, *rest, rectifies=rectifies)


class Adam(AdamFamily, kind="adam"):
    """Adam with bias correction and no weight decay. Source: arXiv:1412.6980, algorithm 1."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "adam", "learning_rate": 3e-4}


class RAdam(AdamFamily, kind="radam"):
    """Adam whose first steps, while the second moment knows too few gradients, follow the first moment alone.

    While ``rho <= 5``, five steps with the default ``beta2``, the step is the bias-corrected mean of gradients; from
    then on Adam's, times a factor that grows to 1. Source: Liu et al., arXiv:1908.03265, algorithm 2; epsilon is
    added to the bias-corrected root, as in Adam and optax (torch adds it before the correction).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "radam", "learning_rate": 2.5e-4}

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> AdamState:
        return self._state(parameters, hyperparameters, rectifies=True)


class AdamW(AdamFamily, kind="adamw"):
    """Adam with decoupled weight decay. Source: arXiv:1711.05101, algorithm 2 (decay scaled by the learning rate)."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "adamw", "learning_rate": 1e-4, "weight_decay": 1e-2}

    weight_decay: Annotated[float, Field(ge=0, le=10), Without(0)] = 1e-2
    """Each step multiplies the decayed parameters by ``1 - learning_rate * weight_decay``."""
    decay: list[str] = Field(default=["*"], max_length=64)
    """Globs of parameter paths that decay: ``["*"]`` includes biases and norms, ``["*weight"]`` only weights."""

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> AdamState:
        return self._state(parameters, hyperparameters, self.weight_decay, matching(self.decay, parameters))

    @override
    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        return unmatched(self.decay, paths, "decay")
