"""A constructor call as a value: what a spec says it is made of, before torch is imported.

Blocks, heads and networks are declared as trees of calls. ``make`` builds the module; ``composer eject`` prints the
same tree as Python. Tests: tests/spec/test_lazy_call.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LazyCall:
    """``target(*args, **kwargs)``; arguments are plain values, calls, or tuples, lists and tables of them."""

    target: str
    """Where the callable is imported from: ``module:name``, such as ``torch.nn:Linear``."""
    args: tuple[Any, ...] = ()
    """Positional arguments."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments by name."""

    def make(self) -> Any:
        """Import the target and call it, inner calls first."""
        module, _, name = self.target.partition(":")
        callee = getattr(importlib.import_module(module), name)
        return callee(*map(_made, self.args), **{key: _made(value) for key, value in self.kwargs.items()})


def call(target: str, *args: Any, **kwargs: Any) -> LazyCall:
    """``LazyCall`` as one writes it: ``call("torch.nn:Linear", 17, 512, bias=True)``."""
    return LazyCall(target, args, kwargs)


def _made(value: Any) -> Any:
    if isinstance(value, LazyCall):
        return value.make()
    if isinstance(value, Mapping):
        return {key: _made(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_made, value))
    return value
