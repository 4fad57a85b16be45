"""The modules behind an environment of Gymnasium: those of its classes, and those that these import.

Tests: tests/faults/test_fingerprint.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

NOT_LIBRARIES = sys.stdlib_module_names | {"composer", "typing_extensions"}


def libraries_of(name: str) -> tuple[str, ...]:
    """Top-level modules behind the registered id ``name``, alphabetically; empty for an id that is not registered."""
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    spec = gymnasium.registry.get(name)
    if spec is None:
        return ()
    modules: set[str] = set()
    for entry in (spec.entry_point, *(each.entry_point for each in spec.additional_wrappers)):
        try:
            creator = load_env_creator(entry) if isinstance(entry, str) else entry
        except Exception:  # Building it reports what is missing.
            continue
        # The classes and their bases; a function that builds the environment stands for itself.
        modules |= {each.__module__ for each in getattr(creator, "__mro__", (creator,)) if hasattr(each, "__module__")}
    tops = {_top(name) for module in _used(modules) for name in (module, *_references(module))}
    return tuple(sorted(tops - NOT_LIBRARIES))


def _used(modules: set[str]) -> set[str]:
    """These modules, and those of their packages that they refer to. Of Gymnasium, which has many simulators, none."""
    waiting, found = set(modules), set[str]()
    while waiting:
        module = waiting.pop()
        found.add(module)
        if _top(module) not in NOT_LIBRARIES | {"gymnasium"}:
            waiting |= {name for name in _references(module) if _top(name) == _top(module)} - found
    return {module for module in found if _top(module) not in NOT_LIBRARIES}


def _references(module: str) -> Iterator[str]:
    """The modules of everything that a module's names refer to, without its own submodules, which others may load."""
    for value in list(vars(sys.modules.get(module, ModuleType(""))).values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name and not name.startswith(f"{module}."):
            yield name


def _top(module: str) -> str:
    return module.partition(".")[0]
