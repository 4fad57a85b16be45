"""What torch is asked to do, seen from inside: modes that count operations or refuse some, and graphs that are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class NoHost(TorchDispatchMode):
    """Refuses whatever makes the host wait for a number, or makes shapes depend on one."""

    REFUSED = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique")

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        assert name not in self.REFUSED, f"{function} makes the host wait"
        return function(*args, **(kwargs or {}))


class Counted(TorchDispatchMode):
    """Counts operations by name; views, which launch nothing, are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if not function.is_view and name != "_unsafe_view":
            self.operations[name] += 1
        return function(*args, **(kwargs or {}))


class Graphs:
    """In the place of ``torch.compile``: compiles with a backend that runs the traced graph as it is, and keeps it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.graphs: list[str] = []
        compile_ = torch.compile
        torch.compiler.reset()

        def stand_in(function: Callable[..., Any], options: object = None, **others: Any) -> Callable[..., Any]:
            return compile_(function, backend=self._keep, **others)  # Options are inductor's.

        monkeypatch.setattr("composer.training.compile.capture.torch.compile", stand_in)

    def _keep(self, graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        self.graphs.append(graph.code)
        return graph.forward


def captured_without_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captured programs are traced, differentiated and made free of mutation, and then run operation by operation.

    Making code of them is most of their time. Others prove it: tests/networks/test_compiled_blocks.py,
    tests/training/test_compiled_dqn.py, tests/papers/test_ppo.py.
    """
    compile_ = torch.compile
    torch.compiler.reset()
    monkeypatch.setattr(
        "composer.training.compile.capture.torch.compile",
        lambda function, options, **others: compile_(function, backend="aot_eager", **others),
    )
