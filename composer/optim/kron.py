"""Kron, a Kronecker-factored preconditioner fitted by stochastic gradients. Tests: tests/optim/test_kron.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.base import Optimizer, matching, unmatched
from composer.optim.schedules import Constant, Positive, highest
from composer.spec.shape import Shape
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.kron_steps import KronState


class Kron(Optimizer, kind="kron"):
    """PSGD with Kronecker factors: ``w <- w - rate (clip(P m) + decay w)``, ``P m = Q1' Q1 m Q2' Q2`` of a matrix.

    ``m`` is the running mean of gradients, free of its bias toward 0; ``clip`` bounds the root mean square of a
    parameter's step by ``clip``. Kernels are matrices with a row for each output. A factor ``Q`` is upper triangular,
    diagonal along axes of one entry or more than ``largest`` and for vectors; it begins as the identity. Where an
    update is due it moves along ``-0.1 triu(A A' - B B') Q / |A A' + B B'|`` with ``A = Q1 m Q2'``, ``B = Q1'^-1 V
    Q2^-1``, a Gaussian matrix ``V`` and a lower bound of the spectral norm; one update in a hundred first makes the
    largest entries of both factors equal. Draws come from a random stream of the optimizer's own.
    Source: Li, arXiv:1512.04202; evanatyourservice/kron_torch, kron.py, 884427c.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "kron", "learning_rate": 3e-4}

    learning_rate: Annotated[Positive, Without(highest)] = Constant(value=3e-4)
    """Step size, a number or a schedule over updates."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    preconditioner_rate: float = Field(default=0.1, gt=0, lt=1)
    """Step size of the factors."""
    flat_updates: int = Field(default=500, ge=0, le=10**12)
    """Updates in which the factors always move; then with a probability that falls exponentially."""
    probability_decay: float = Field(default=0.001, ge=0, le=1)
    """Rate of that fall, per update."""
    least_probability: float = Field(default=0.03, gt=0, le=1)
    """Its lower bound."""
    largest: int = Field(default=8192, ge=1, le=65536)
    """Axes with more entries have a diagonal factor."""
    clip: float = Field(default=1.1, gt=0, le=1e6)
    """Bound of the root mean square of a parameter's step, before decay and learning rate."""
    weight_decay: Annotated[float, Field(ge=0, le=10), Without(0)] = 0.0
    """Added to the step as ``weight_decay * w``, for decayed parameters of at least two axes."""
    decay: list[str] = Field(default=["*"], min_length=1, max_length=64)
    """Globs of parameter paths that decay."""

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> KronState:
        from composer.optim.kron_steps import KronState

        factors = {path: self._sizes(value.shape[2:]) for path, value in parameters.items()}
        schedule = self.flat_updates, self.probability_decay, self.least_probability
        numbers = self.beta1, self.preconditioner_rate, *schedule, self.clip, self.weight_decay
        chosen = keys or range(hyperparameters.seeds)
        decayed = [path for path in matching(self.decay, parameters) if parameters[path].ndim > 3]
        return KronState(parameters, hyperparameters, chosen, self.learning_rate, numbers, factors, decayed)

    @override
    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        return unmatched(self.decay, paths, "decay")

    @override
    def moments(self) -> int:
        return 1

    @override
    def entries(self, shapes: Mapping[str, Shape]) -> int:
        factors = (math.prod(size) for shape in shapes.values() for size in self._sizes(shape))
        return super().entries(shapes) + sum(factors)

    def _sizes(self, shape: Sequence[int]) -> list[Shape]:
        """Shapes of a parameter's factors: ``(n, n)`` of triangular ones, ``(n,)`` of diagonal ones."""
        if len(shape) < 2:
            return [(math.prod(shape),)]
        axes = (shape[0], math.prod(shape[1:]))
        return [(n, n) if 1 < n <= self.largest else (n,) for n in axes]
