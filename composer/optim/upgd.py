"""UPGD: steps that protect useful weights and perturb useless ones. Tests: tests/papers/test_upgd.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.optim.base import Optimizer, matching, unmatched
from composer.optim.schedules import Constant, Positive, highest
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.upgd_steps import UtilityState


class Upgd(Optimizer, kind="upgd"):
    """Utility-based perturbed gradient descent, in the form that scales gradient and noise alike, or the noise alone.

    ``w <- (1 - rate decay) w - rate (g + noise) (1 - sigmoid(U / max U))``, where the utility ``U`` is the running mean
    of ``-g w``, free of its bias toward 0, and the largest is taken over all parameters of the optimizer, copies
    included, for each seed. A weight without utility moves at 0.5 of the full step, the most useful one at 0.27. Where
    no utility is positive, all count as 0 (in the released code all signs would be inverted). That code also divides by
    the largest utility before its bias is corrected; here both are corrected. With ``scales = "noise"``, the paper's
    non-protecting form, the step is ``rate (g + noise (1 - sigmoid(U / max U)))``.
    Noise comes from a random stream of the optimizer's own. Defaults of noise and decays: the authors' PPO script.
    Source: Elsayed and Mahmood, arXiv:2404.00781.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "upgd", "learning_rate": 1e-2, "sigma": 1e-3}

    learning_rate: Annotated[Positive, Without(highest)] = Constant(value=1e-2)
    """Step size, a number or a schedule over updates."""
    beta_utility: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the running mean of utilities."""
    sigma: Annotated[float, Field(ge=0, le=1e3), Without(0)] = 1e-3
    """Standard deviation of the noise that is added to gradients."""
    scales: Literal["step", "noise"] = "step"
    """What utilities scale down: gradient and noise, which protects useful weights; or the noise alone."""
    weight_decay: Annotated[float, Field(ge=0, le=10), Without(0)] = 1e-3
    """Each step multiplies the decayed parameters by ``1 - learning_rate * weight_decay``."""
    decay: list[str] = Field(default=["*"], max_length=64)
    """Globs of parameter paths that decay: ``["*"]`` includes biases and norms, ``["*weight"]`` only weights."""

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> UtilityState:
        from composer.optim.upgd_steps import UtilityState

        return UtilityState(
            parameters,
            hyperparameters,
            keys or range(hyperparameters.seeds),
            self.learning_rate,
            self.beta_utility,
            self.sigma,
            self.weight_decay,
            matching(self.decay, parameters),
            self.scales == "step",
        )

    @override
    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        return unmatched(self.decay, paths, "decay")

    @override
    def moments(self) -> int:
        return 1
