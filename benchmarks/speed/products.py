"""The products and convolutions of one update, recorded and then repeated without anything around them.

Their speed is the floor of the time that an update takes, at exactly the shapes and layouts of the workload.
Tests: tests/benchmarks/test_speed_products.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.speed.counting import count_flops
from composer.training.compile.onednn import better_by_onednn, product, products

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload

_ATEN = torch.ops.aten
_FACTORS: Mapping[Any, int] = {
    _ATEN.mm.default: 0,
    _ATEN.addmm.default: 1,
    _ATEN.bmm.default: 0,
    _ATEN.baddbmm.default: 1,
}
"""Operations that multiply matrices, and the index of the first factor among their arguments."""


class Product(NamedTuple):
    """Shapes and layouts of one product of two matrices, or of two stacks of them."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    left_transposed: bool
    right_transposed: bool

    @property
    def flops(self) -> int:
        """Operations: a multiplication and an addition per term."""
        *stack, rows, inner = self.left
        return 2 * (stack[0] if stack else 1) * rows * inner * self.right[-1]

    def work(self) -> Callable[[], object]:
        """The product on its own operands, by the faster of torch's two libraries."""
        left, right = _operand(self.left, self.left_transposed), _operand(self.right, self.right_transposed)
        result = torch.empty(*self.left[:-1], self.right[-1])
        ways: list[Callable[[], object]] = [lambda: torch.matmul(left, right, out=result)]
        if better_by_onednn():
            ways.append(partial(product if left.ndim == 2 else products, left, right))
        return min(ways, key=_seconds)


class Layout(NamedTuple):
    """Shape and layout of a tensor."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def filled(self) -> Tensor:
        """A tensor of this layout with unit-normal values."""
        room = 1 + sum((length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True))
        return torch.randn(room).as_strided(self.shape, self.strides)


class Convolution(NamedTuple):
    """One convolution, or the gradients of one that were asked for: inputs, weights or both."""

    arguments: tuple[Any, ...]
    """The operation's arguments, with layouts in place of tensors."""
    output: tuple[int, ...]
    """Shape of the forward result."""
    passes: int
    """1 for the forward pass, else the number of gradients."""
    backward: bool

    @property
    def flops(self) -> int:
        """Operations: a multiplication and an addition per term."""
        weight: Layout = self.arguments[2 if self.backward else 1]
        return 2 * self.passes * prod(self.output) * prod(weight.shape[1:])

    def work(self) -> Callable[[], object]:
        """The convolution on its own tensors, without keeping the result."""
        function = _ATEN.convolution_backward.default if self.backward else _ATEN.convolution.default
        given = [each.filled() if isinstance(each, Layout) else each for each in self.arguments]
        return lambda: function(*given)


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Product | Convolution] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in _FACTORS:
            left, right = args[_FACTORS[function] :][:2]
            shapes = tuple(left.shape), tuple(right.shape)
            self.found.append(Product(*shapes, _transposed(left), _transposed(right)))
        elif function is _ATEN.convolution.default:
            self.found.append(Convolution(_told(args), tuple(result.shape), 1, backward=False))
        elif function is _ATEN.convolution_backward.default:
            asked: Sequence[bool] = args[10]
            self.found.append(Convolution(_told(args), tuple(args[0].shape), sum(asked[:2]), backward=True))
        return result


def record(call: Callable[[], object]) -> list[Product | Convolution]:
    """Every product and every convolution of one call, in order.

    Raises:
        RuntimeError: torch counts other operations than these: the floor would be of something else.
    """
    recorded = seen(call)
    found, counted = sum(each.flops for each in recorded), count_flops(call)
    if found != counted:
        raise RuntimeError(f"recorded products of {found:,} operations, but torch counts {counted:,}")
    return recorded


def seen(call: Callable[[], object]) -> list[Product | Convolution]:
    """The same without the check, where torch's counter cannot be used."""
    recorder = _Recorder()
    with recorder:
        call()
    return recorder.found


class ProductsSubject:
    """Repeats the recorded operations."""

    units = 1

    def __init__(self, call: Callable[[], None]) -> None:
        """``call`` is one eager update."""
        recorded = record(call)
        self._flops = sum(each.flops for each in recorded)
        self._work = [each.work() for each in recorded]

    def call(self) -> None:
        """Run all operations once."""
        for work in self._work:
            work()

    def settle(self) -> None:
        """Nothing is pending on a CPU."""

    def parameters(self) -> Mapping[str, int]:
        """No parameters: there is no agent."""
        return {}

    def flops(self) -> int:
        """Operations of one call."""
        return self._flops


def floor(workload: AgentWorkload, candidate: Candidate) -> ProductsSubject:
    """The products of this project's eager update."""
    from benchmarks.speed.ours.learning import LearnerSubject

    return ProductsSubject(LearnerSubject(workload.load(), workload.rows).eager_update())


def _seconds(way: Callable[[], object]) -> float:
    """Time of a call: the shortest of a few, without the first."""
    found = []
    for _ in range(6):
        began = time.perf_counter()
        way()
        found.append(time.perf_counter() - began)
    return min(found[1:])


def _told(arguments: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(Layout(tuple(each.shape), each.stride()) if isinstance(each, Tensor) else each for each in arguments)


def _transposed(value: Tensor) -> bool:
    return bool(value.stride(-2) == 1 and value.shape[-2] > 1 and value.stride(-1) != 1)


def _operand(shape: tuple[int, ...], transposed: bool) -> Tensor:
    if not transposed:
        return torch.randn(shape)
    *stack, rows, columns = shape
    return torch.randn(*stack, columns, rows).transpose(-1, -2)
