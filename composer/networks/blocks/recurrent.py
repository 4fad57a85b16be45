"""Layers that carry a memory from one observation to the next. Tests: tests/networks/test_recurrent.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from composer.networks.blocks.base import Block, Width, last_axis, plan
from composer.networks.initializers import Initializer, LecunNormal, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Recurrent(Block, abstract=True):
    """A layer with a memory, which is zero at the beginning of an episode. It stands in the list of a trunk."""

    gates: ClassVar[tuple[str, ...]]
    """Names of the gates, in the order of the parameters ``input_GATE``, ``recurrent_GATE`` and ``bias_GATE``."""
    states: ClassVar[int]
    """Vectors of ``width`` that it remembers."""

    width: Width
    """Output width."""
    weight: Initializer = LecunNormal()
    """Initialiser of each gate's input weight, shape [width, in]."""
    recurrent_weight: Initializer = Orthogonal()
    """Initialiser of each gate's recurrent weight, shape [width, width]."""
    bias_init: Initializer = Zeros()
    """Initialiser of each bias, shape [width]."""

    @property
    @override
    def memory_size(self) -> int:
        return self.states * self.width

    def outline(self, shape: Shape) -> Outline:
        """The parameters of the gates; operations of the products, and ten for each output."""
        fan_in, width = last_axis(shape, self.kind), self.width
        parameters = {
            f"{part}_{gate}": plan((width, size), initializer, size, width, key)
            for part, size, initializer, key in (
                ("input", fan_in, self.weight, "weight"),
                ("recurrent", width, self.recurrent_weight, "recurrent_weight"),
            )
            for gate in self.gates
        }
        for name in self._biases():
            parameters[name] = plan((width,), self.bias_init, fan_in, width, "bias_init")
        flops = math.prod(shape[:-1]) * width * (len(self.gates) * 2 * (fan_in + width) + 10)
        return Outline(self.kind, shape, (*shape[:-1], width), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """Of ``composer.networks.modules.recurrent``."""
        name = type(self).__name__
        return call(f"composer.networks.modules.recurrent:{name}", last_axis(shape, self.kind), self.width)

    def _biases(self) -> tuple[str, ...]:
        return tuple(f"bias_{gate}" for gate in self.gates)


class GRU(Recurrent, kind="gru"):
    """Gated recurrent unit: ``[..., in] -> [..., width]``, with a memory of ``width`` numbers.

    ``r = sigmoid(W_r x + U_r h + b_r)``, ``z`` likewise, ``n = tanh(W_n x + b_n + r (U_n h + b_u))``,
    ``h' = (1 - z) n + z h``, as in torch and flax. Source: Cho et al., arXiv:1406.1078; initialisers as in flax.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "gru", "width": 16}
    gates = ("reset", "update", "new")
    states = 1

    @override
    def _biases(self) -> tuple[str, ...]:
        return (*super()._biases(), "bias_recurrent")


class LSTM(Recurrent, kind="lstm"):
    """Long short-term memory: ``[..., in] -> [..., width]``, with a memory of twice ``width`` numbers, output and cell.

    ``c' = f c + i g``, ``h' = o tanh(c')``. Source: Hochreiter and Schmidhuber, Neural Computation 9(8), 1997, with the
    forget gate of Gers et al., Neural Computation 12(10), 2000; initialisers as in flax.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "lstm", "width": 16}
    gates = ("input", "forget", "cell", "output")
    states = 2
