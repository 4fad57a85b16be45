"""Constructor calls as values: specs declare modules as trees of calls, without importing torch.

``make`` builds the module of a tree; ``composer eject`` prints the tree as Python. Tests: tests/spec/test_lazy_call.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LazyCall:
    """``target(*args, **kwargs)``. Arguments are plain values, calls, and tuples, lists and mappings of these."""

    target: str
    """The callable as ``module:name``, such as ``torch.nn:Linear``."""
    args: tuple[Any, ...] = ()
    """Positional arguments."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments by name."""

    def make(self) -> Any:
        """Import the target and call it; inner calls are made first."""
        module, _, name = self.target.partition(":")
        callee = getattr(importlib.import_module(module), name)
        return callee(*map(_made, self.args), **{key: _made(value) for key, value in self.kwargs.items()})


def call(target: str, *args: Any, **kwargs: Any) -> LazyCall:
    """A ``LazyCall`` written as a call: ``call("torch.nn:Linear", 17, 512, bias=True)``."""
    return LazyCall(target, args, kwargs)


def _made(value: Any) -> Any:
    if isinstance(value, LazyCall):
        return value.make()
    if isinstance(value, Mapping):
        return {key: _made(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_made, value))
    return value
