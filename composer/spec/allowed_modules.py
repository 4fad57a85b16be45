"""Which modules a blueprint may have imported. A file of a stranger names a module; the user decides whether it runs.

Allowed are: modules that the program has imported itself; modules that the user allows by name (``--allow-module``,
``COMPOSER_ALLOW_MODULE``); modules that installed distributions name in an entry point of ``gymnasium.envs`` or
``composer.plugins``; and modules in a folder that the user put on ``PYTHONPATH``. The working directory never counts,
under whatever name it is on the path: whoever unpacks a stranger's folder and works in it has allowed nothing.
See docs/decisions/0020-modules.md. Tests: tests/spec/test_allowed_modules.py.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlparse
from warnings import catch_warnings

from composer.spec.calls import in_words, of_others
from composer.spec.wording import spelled

VARIABLE = "COMPOSER_ALLOW_MODULE"
"""The environment variable with the names that the user allows, separated by commas; child processes inherit it."""
GROUPS = ("gymnasium.envs", "composer.plugins")
"""Groups of entry points whose modules are allowed: their distributions are made for this."""


_imported: set[str] = set()
"""Names that this process was allowed to import."""


class ModuleRefused(ValueError):
    """A module that is not imported, or that fails when it is; the message says why, and what to do."""


def allow(names: Iterable[str]) -> None:
    """Allow modules by name, in this process and in those that it starts."""
    os.environ[VARIABLE] = ",".join(dict.fromkeys([*_by_name(), *names]))


def for_children() -> dict[str, str]:
    """Variables of a child process that does this one's work: what this process has imported, it may import too."""
    return {VARIABLE: ",".join(dict.fromkeys([*_by_name(), *_imported]))}


def import_allowed(name: str) -> ModuleType:
    """Import a module that is allowed. Raises ModuleRefused, whatever the module does."""
    if problem := refusal(name):
        raise ModuleRefused(problem)
    try:
        with of_others():
            module = importlib.import_module(name)
    except Exception as error:
        raise ModuleRefused(f"module {spelled(name)} cannot be imported: {in_words(error)}") from error
    _imported.add(name)
    return module


def refusal(name: str) -> str | None:
    """Why the module may not be imported, or cannot be; None where it may. Nothing is executed, no parent of it."""
    if name in sys.modules:
        return None
    found = _found(name)
    if found is None:
        return f"module {spelled(name)} is not installed, and no folder on PYTHONPATH has it"
    if not _is_allowed(name, found):
        where = found[0].origin or "a folder without __init__.py"
        return (
            f"module {spelled(name)} is not imported unasked ({where}): it is none of a distribution that declares "
            f"Gymnasium environments, and in no folder of PYTHONPATH but the working one; "
            f"if you trust it: --allow-module {name}"
        )
    return _syntax_error(name, found[-1])


def trusted_distributions() -> Iterator[Distribution]:
    """Installed distributions, without those whose metadata lie in the working directory."""
    yield from distributions(path=[entry for entry in sys.path if not is_working_directory(entry)])


def is_working_directory(entry: str) -> bool:
    """Whether an entry of the path is the working directory: by its name, as ``""`` or as ``.``, or by a link."""
    return not os.path.isabs(entry) or os.path.realpath(entry) == os.path.realpath(os.getcwd())


def comes_from(distribution: Distribution, module: str) -> bool:
    """Whether importing ``module`` would execute the distribution's own file, and none that lies in front of it."""
    if module in sys.modules:
        return True
    found = _found(module.partition(".")[0])
    if found is None or found[0].origin is None:
        return found is not None and not any(map(is_working_directory, found[0].submodule_search_locations or ()))
    around = Path(os.path.realpath(found[0].origin)).parents
    return any(Path(os.path.realpath(folder)) in around for folder in _folders_of(distribution))


def _by_name() -> list[str]:
    return [name for name in os.environ.get(VARIABLE, "").split(",") if name]


def _found(name: str) -> list[ModuleSpec] | None:
    """The specs of a module and of the packages around it, outermost first, as importing would find them."""
    parts = name.split(".")
    try:
        with catch_warnings(action="ignore"):  # setuptools' finder warns when it is asked for pip.
            found = [find_spec(parts[0])]  # Of a name without a dot, this executes nothing.
    except (ImportError, ValueError):
        return None
    for length in range(2, len(parts) + 1):
        around = found[-1]
        if around is None or around.submodule_search_locations is None:
            return None
        found.append(PathFinder.find_spec(".".join(parts[:length]), list(around.submodule_search_locations)))
    return None if found[-1] is None else [each for each in found if each is not None]


def _is_allowed(name: str, found: list[ModuleSpec]) -> bool:
    if any(name == allowed or name.startswith(f"{allowed}.") for allowed in _by_name()):
        return True
    return _is_declared(name) or _is_on_users_path(name, found)


def _is_declared(name: str) -> bool:
    """Whether an entry point of an installed distribution names the module, or a module inside it."""
    for each in trusted_distributions():
        modules = [entry.module for entry in each.entry_points if entry.group in GROUPS]
        if any(f"{module}.".startswith(f"{name}.") for module in modules) and comes_from(each, name):
            return True
    return False


def _is_on_users_path(name: str, found: list[ModuleSpec]) -> bool:
    """Whether the module lies in a folder that the user put on PYTHONPATH; the interpreter's own do not count."""
    origins = [each.origin for each in found]
    if name.partition(".")[0] in sys.stdlib_module_names or None in origins:
        return False
    own = {os.path.realpath(path) for path in sysconfig.get_paths().values()}
    for entry in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if is_working_directory(entry) or os.path.realpath(entry) in own:
            continue
        folder = Path(os.path.abspath(entry))
        ways = [Path(os.path.abspath(str(origin))).parents for origin in origins]
        if all(folder in way for way in ways):
            # A package that is the working directory, or is around it, may be a stranger's too.
            inside = list(ways[-1])[: list(ways[-1]).index(folder)]
            return not any(is_working_directory(str(parent)) for parent in inside)
    return False


def _syntax_error(name: str, found: ModuleSpec) -> str | None:
    if found.origin is None or not found.origin.endswith(".py"):
        return None
    try:
        compile(Path(found.origin).read_bytes(), found.origin, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError) as error:
        return f"module {spelled(name)} cannot be imported: {in_words(error)}"
    return None


def _folders_of(distribution: Distribution) -> Iterator[str]:
    """The folders that hold a distribution's modules: the one of its metadata, and the source of an editable one."""
    yield str(distribution.locate_file(""))
    text = distribution.read_text("direct_url.json")
    about = json.loads(text) if text else {}
    if about.get("dir_info", {}).get("editable"):
        yield unquote(urlparse(about["url"]).path)
