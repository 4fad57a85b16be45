"""Muon: orthogonal momentum for hidden matrices, another optimizer for the rest. Tests: tests/optim/test_muon.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.optim.adam import AdamW
from composer.optim.base import Optimizer, matches, matching, unmatched
from composer.optim.schedules import Constant, Positive, highest
from composer.spec.shape import Shape
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.muon_steps import MuonState

Coefficient = Annotated[float, Field(ge=-100, le=100)]
MATRIX, KERNEL = 2, 4
"""Axes of a linear layer's weights, and of a convolution's."""


class Muon(Optimizer, kind="muon"):
    """Momentum, orthogonalised: ``w <- (1 - rate decay) w - rate scale O``, with ``O`` near ``U V'`` of ``u = U S V'``.

    ``m <- momentum m + (1 - momentum) g``; ``u = momentum m + (1 - momentum) g`` with ``nesterov``, else ``m``.
    ``O`` comes from ``steps`` Newton-Schulz steps ``X <- a X + (b A + c A^2) X`` with ``A = X X'``, from ``u`` over its
    Frobenius norm: five of them leave singular values between about 0.5 and 1.5. It takes the weights of linear layers
    and convolutions (a kernel has a row for each output) among ``matrices``; ``rest`` moves all other parameters. All
    in float32, where the released code takes bfloat16.
    Source: Jordan et al., 2024, github.com/KellerJordan/Muon; ``torch.optim.Muon``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "muon", "learning_rate": 0.02}

    learning_rate: Annotated[Positive, Without(highest)] = Constant(value=0.02)
    """Step size of the matrices, a number or a schedule over updates."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Share of the running mean of gradients that a step keeps."""
    nesterov: Annotated[bool, Without(False)] = True
    """Whether the gradient is mixed in once more before it is made orthogonal."""
    coefficients: tuple[Coefficient, Coefficient, Coefficient] = (3.4445, -4.775, 2.0315)
    """``a``, ``b`` and ``c``, the same in every step."""
    steps: int = Field(default=5, ge=1, le=99)
    """Newton-Schulz steps."""
    scale: Literal["rows", "adamw", "none"] = "rows"
    """Factor on the step of a matrix: ``rows``, ``sqrt(max(1, rows / columns))`` (torch's ``original``); ``adamw``,
    ``0.2 sqrt(max(rows, columns))``, the step of AdamW (``match_rms_adamw``, arXiv:2502.16982); ``none``, 1."""
    matrices: list[str] = Field(default=["trunk.*"], min_length=1, max_length=64)
    """Globs of parameter paths; those of two axes, and kernels, are made orthogonal."""
    weight_decay: Annotated[float, Field(ge=0, le=10), Without(0)] = 0.0
    """Each step multiplies the decayed matrices by ``1 - learning_rate * weight_decay``."""
    decay: list[str] = Field(default=["*"], min_length=1, max_length=64)
    """Globs of parameter paths that decay, among the matrices; ``rest`` has its own."""
    rest: Optimizer = AdamW()
    """The optimizer of all other parameters: heads, biases, gains."""

    @field_validator("rest")
    @classmethod
    def _takes_one_gradient(cls, rest: Optimizer) -> Optimizer:
        if rest.takes_two_gradients or rest.keeps_first_values:
            message = "'{kind}' is for all parameters at once: wrap it around muon instead"
            raise PydanticCustomError("muon_rest", message, {"kind": rest.kind})
        return rest

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> MuonState:
        from composer.optim.muon_steps import MuonState, OrthogonalState

        mine = {path: value for path, value in parameters.items() if self._takes(path, value.shape[2:])}
        if not mine:
            raise ValueError(f"no matrix or kernel matches {self.matrices}")
        numbers = self.momentum, self.nesterov, self.coefficients, self.steps, self.scale
        decay = self.weight_decay, matching(self.decay, mine)
        hidden = OrthogonalState(mine, hyperparameters, self.learning_rate, *numbers, *decay)
        others = {path: value for path, value in parameters.items() if path not in mine}
        rest = self.rest.build(others, hyperparameters, keys) if others else None
        return MuonState(list(parameters), hidden, rest)

    @override
    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        known = list(paths)
        yield from unmatched(self.matrices, known, "matrices")
        yield from unmatched(self.decay, known, "decay")
        # Masks of `rest` are globs too, which may match matrices alone.
        yield from ((f"rest.{key}", message) for key, message in self.rest.problems(known))

    @override
    def moments(self) -> int:
        return max(1, self.rest.moments())

    @override
    def entries(self, shapes: Mapping[str, Shape]) -> int:
        mine = {path: shape for path, shape in shapes.items() if self._takes(path, shape)}
        others = {path: shape for path, shape in shapes.items() if path not in mine}
        return super().entries(mine) // self.moments() + self.rest.entries(others)

    def _takes(self, path: str, shape: Sequence[int]) -> bool:
        return len(shape) in (MATRIX, KERNEL) and matches(self.matrices, path)
