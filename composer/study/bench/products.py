"""The matrix products of one update, recorded and then repeated without anything around them.

Their speed is the floor of the time that an update takes, at exactly the shapes and layouts of the workload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from composer.study.bench.subjects import count_flops

_ATEN = torch.ops.aten
_FACTORS: Mapping[Any, int] = {
    _ATEN.mm.default: 0,
    _ATEN.addmm.default: 1,
    _ATEN.bmm.default: 0,
    _ATEN.baddbmm.default: 1,
}
"""Operations that multiply matrices, and where among their arguments the two factors begin."""


class Product(NamedTuple):
    """Shapes and layouts of one product of two matrices, or of two stacks of them."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    left_transposed: bool
    right_transposed: bool

    @property
    def flops(self) -> int:
        """A multiplication and an addition for each term."""
        *stack, rows, inner = self.left
        return 2 * (stack[0] if stack else 1) * rows * inner * self.right[-1]


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.products: list[Product] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function in _FACTORS:
            left, right = args[_FACTORS[function] :][:2]
            shapes = tuple(left.shape), tuple(right.shape)
            self.products.append(Product(*shapes, _transposed(left), _transposed(right)))
        return function(*args, **(kwargs or {}))


def record(call: Callable[[], object]) -> list[Product]:
    """Every matrix product of one call, in order.

    Raises:
        RuntimeError: torch counts other operations than these products: the floor would be of something else.
    """
    recorder = _Recorder()
    with recorder:
        call()
    found, counted = sum(product.flops for product in recorder.products), count_flops(call)
    if found != counted:
        raise RuntimeError(f"recorded products of {found:,} operations, but torch counts {counted:,}")
    return recorder.products


class ProductsSubject:
    """Repeats the recorded products on operands and results of its own."""

    agents = 1

    def __init__(self, call: Callable[[], None]) -> None:
        """``call`` is one eager update."""
        products = record(call)
        self._flops = sum(product.flops for product in products)
        self._work = [
            (
                _operand(p.left, p.left_transposed),
                _operand(p.right, p.right_transposed),
                torch.empty(*p.left[:-1], p.right[-1]),
            )
            for p in products
        ]

    def update(self) -> None:
        """Every product once."""
        for left, right, result in self._work:
            torch.matmul(left, right, out=result)

    def settle(self) -> None:
        """On a CPU nothing is pending."""

    def parameters(self) -> Mapping[str, int]:
        """No agent, no parameters."""
        return {}

    def flops(self) -> int:
        """Of all the products."""
        return self._flops


def _transposed(value: Tensor) -> bool:
    return bool(value.stride(-2) == 1 and value.shape[-2] > 1 and value.stride(-1) != 1)


def _operand(shape: tuple[int, ...], transposed: bool) -> Tensor:
    if not transposed:
        return torch.randn(shape)
    *stack, rows, columns = shape
    return torch.randn(*stack, columns, rows).transpose(-1, -2)
