"""Plug-ins: installed distributions with kinds and parts of their own, each under its own namespace.

A plug-in has one entry point: its name is the namespace, importing it registers the kinds, and the folder ``registry/``
in its package holds the parts. A plug-in is imported when a blueprint requires it, or when a command lists all kinds.
Tests: tests/plugin/.

    [project.entry-points."composer.plugins"]
    acme = "composer_acme"          # brings kinds such as acme/fourier
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from traceback import walk_tb
from typing import TypeGuard

from composer.spec import allowed_modules
from composer.spec import builtin_kinds as kinds
from composer.spec.calls import in_words, of_others
from composer.spec.family import FAMILIES, Family
from composer.spec.wording import near, shorten, spelled

GROUP = "composer.plugins"
"""The group of entry points."""

_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NAME = re.compile(rf"{_NAMESPACE.pattern}/[a-z0-9][a-z0-9._-]{{0,63}}(?<!\.toml)")
_KindName = tuple[str, str]
"""A family and one of its kinds; an empty kind is the family itself."""


class PluginError(LookupError):
    """A plug-in cannot be used: ``message`` says which and why, ``hint`` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message, self.hint = message, hint


class MissingPluginError(PluginError):
    """No such plug-in is installed."""


class BrokenPluginError(PluginError):
    """A plug-in does not work, or registers what it may not."""


@dataclass(frozen=True)
class Plugin:
    """A loaded plug-in: its kinds are registered."""

    distribution: str
    version: str
    namespace: str
    package: str
    """The package with its parts; empty for a plug-in of one module, which has none."""


_outcomes: dict[str, Plugin | BrokenPluginError] = {}
"""The outcome of loading each distribution. A module registers its kinds once, so a second try would find none."""


def load(name: str) -> Plugin:
    """Import the plug-in of the distribution ``name``, once per process; raises PluginError.

    Kinds of a plug-in that is refused are unregistered.
    """
    entry = _entry(name)
    key = _canonical(name)
    if key not in _outcomes:
        try:
            _outcomes[key] = _loaded(entry)
        except BrokenPluginError as error:
            _outcomes[key] = error
    outcome = _outcomes[key]
    if isinstance(outcome, BrokenPluginError):
        raise BrokenPluginError(outcome.message, outcome.hint)
    return outcome


def loaded() -> tuple[Plugin, ...]:
    """The plug-ins that this process has loaded, in order of their namespaces."""
    plugins = [outcome for outcome in _outcomes.values() if isinstance(outcome, Plugin)]
    return tuple(sorted(plugins, key=lambda plugin: plugin.namespace))


def load_installed() -> tuple[PluginError, ...]:
    """Load every installed plug-in; returns the errors of those that do not work."""
    problems = []
    for name in sorted(_installed()):
        try:
            load(name)
        except PluginError as error:
            problems.append(error)
    return tuple(problems)


def is_namespaced(name: object) -> TypeGuard[str]:
    """Whether a name has the form ``namespace/name`` of a plug-in's kind or part; a path to a file does not."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def distributions_of(name: str) -> tuple[str, ...]:
    """The installed distributions with the namespace of a kind or a part, alphabetically."""
    namespace = name.partition("/")[0]
    entries = [entry for entries in _installed().values() for entry in entries]
    return tuple(sorted(_label(entry) for entry in entries if entry.name == namespace))


def refusal(name: str, required: Collection[str]) -> tuple[str, str] | None:
    """Why a blueprint with ``requires = required`` cannot use a namespaced name, and what to write; None if it can.

    Kinds that a program registers itself, without a plug-in, are always usable.
    """
    installed = distributions_of(name)
    if {_canonical(one) for one in installed} & {_canonical(one) for one in required}:
        return None
    if installed:
        names = ", ".join(f'"{one}"' for one in (*required, installed[0]))
        return f"{name!r} belongs to the plug-in {installed[0]!r}", f"write requires = [{names}]"
    if any(name in family.kinds() for family in FAMILIES.values()):
        return None
    namespace = name.partition("/")[0]
    known = sorted(entry.name for entries in _installed().values() for entry in entries)
    meant = near(namespace, known)
    hint = f"did you mean {meant!r}?" if meant else "name the distribution that has it in 'requires'"
    return f"no installed plug-in has the namespace {spelled(namespace)}", hint


def kinds_of(plugin: Plugin) -> Mapping[_KindName, type[Family]]:
    """The kinds of a loaded plug-in."""
    return {name: member for name, member in _registered().items() if name[1].startswith(f"{plugin.namespace}/")}


def blamed(error: BaseException) -> str | None:
    """The distribution of the plug-in in whose code an error was raised, if it was one's."""
    names = {frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in walk_tb(error.__traceback__)}
    for plugin in loaded():
        if names & {member.__module__.partition(".")[0] for member in kinds_of(plugin).values()}:
            return plugin.distribution
    return None


def _installed() -> Mapping[str, list[EntryPoint]]:
    """Entry points by canonical distribution name, read anew when ``sys.path`` or one of its folders has changed."""
    return _read(tuple((folder, _modified(folder)) for folder in sys.path))


@lru_cache(maxsize=1)
def _read(stamp: tuple[tuple[str, int], ...]) -> Mapping[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for each in allowed_modules.trusted_distributions():
        entries = [entry for entry in each.entry_points if entry.group == GROUP]
        # The first one on the path is the one that is imported.
        if entries:
            found.setdefault(_canonical(each.name), entries)
    return found


def _modified(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


def _entry(name: str) -> EntryPoint:
    if not _DISTRIBUTION.fullmatch(name):
        raise MissingPluginError(f"expected the name of a distribution, such as 'composer-acme', got {spelled(name)}")
    installed = _installed()
    entries = installed.get(_canonical(name))
    if entries is None:
        raise _missing(name, installed)
    if len(entries) > 1:
        raise BrokenPluginError(f"the plug-in {name!r} has {len(entries)} entry points {GROUP!r}; it may have one")
    return entries[0]


def _missing(name: str, installed: Collection[str]) -> PluginError:
    if any(_canonical(each.name) == _canonical(name) for each in allowed_modules.trusted_distributions()):
        return MissingPluginError(f"{name!r} is installed, but is no plug-in: it has no entry point {GROUP!r}")
    meant = near(name, installed)
    hint = f"did you mean {meant!r}?" if meant else f"pip install {name}"
    return MissingPluginError(f"the plug-in {name!r} is not installed", hint)


def _loaded(entry: EntryPoint) -> Plugin:
    name, version = _label(entry), entry.dist.version if entry.dist else ""
    if not _NAMESPACE.fullmatch(entry.name):
        raise BrokenPluginError(f"the plug-in {name!r} has the namespace {spelled(entry.name)}; use [a-z0-9_-]")
    for other in loaded():
        if other.namespace == entry.name:
            raise BrokenPluginError(
                f"the plug-in {name!r} has the namespace {entry.name!r}, which is that of {other.distribution!r}"
            )
    kinds.register()
    before = _registered().keys()
    if entry.dist is not None and not allowed_modules.comes_from(entry.dist, entry.module):
        raise BrokenPluginError(f"another module {entry.module!r} on the path hides that of the plug-in {name!r}")
    try:
        with of_others():
            module = importlib.import_module(entry.module)
    except Exception as error:
        _forget(_own(entry, before))
        raise BrokenPluginError(
            f"the plug-in {name!r} cannot be imported ({in_words(error)})", f"mend or update {name}"
        ) from error
    own = _own(entry, before)
    faults = [*_faults(entry.name, own)]
    if faults:
        _forget(own)
        raise BrokenPluginError(f"the plug-in {name!r} is refused: {', '.join(faults)}")
    return Plugin(name, version, entry.name, module.__spec__.parent or "" if module.__spec__ else "")


def _faults(namespace: str, own: Mapping[_KindName, type[Family]]) -> Iterator[str]:
    for (family, kind), member in own.items():
        name, noun = kind or family, member.noun() if kind else "family"
        if not _NAME.fullmatch(name) or name.partition("/")[0] != namespace:
            yield f"the name of its {noun} {spelled(name)} must begin with '{namespace}/'"
        elif kind:
            try:
                with of_others():
                    member.model_validate({key: value for key, value in member.example.items() if key != "kind"})
            except Exception as error:
                reason = shorten(" ".join(str(error).split()), 200)
                yield f"the example of its {noun} {name!r} is not valid ({reason})"


def _registered() -> dict[_KindName, type[Family]]:
    found = {(name, ""): family for name, family in FAMILIES.items()}
    for name, family in FAMILIES.items():
        found |= {(name, kind): member for kind, member in family.kinds().items()}
    return found


def _own(entry: EntryPoint, before: Collection[_KindName]) -> dict[_KindName, type[Family]]:
    """The kinds of a plug-in: those that its package defines, and new ones that no other plug-in's package defines.

    A plug-in may import another one, whose kinds stay the other's.
    """
    modules = {each.module: key for key, entries in _installed().items() for each in entries}
    modules["composer"] = ""
    mine = _canonical(_label(entry))

    def home(member: type[Family]) -> str:
        nearest = max(modules, key=lambda module: _shared(module, member.__module__))
        return modules[nearest] if _shared(nearest, member.__module__) else mine

    found = {name: member for name, member in _registered().items() if home(member) == mine}
    ours = [entry.module.partition(".")[0] == member.__module__.partition(".")[0] for member in found.values()]
    return {name: found[name] for name, is_ours in zip(found, ours, strict=True) if is_ours or name not in before}


def _shared(left: str, right: str) -> int:
    """The number of leading names that two dotted paths share."""
    count = 0
    for ours, theirs in zip(left.split("."), right.split("."), strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _forget(names: Collection[_KindName]) -> None:
    for family, kind in names:
        if kind:
            FAMILIES[family]._kinds.pop(kind)
    for family, kind in names:
        if not kind:
            FAMILIES.pop(family)


def _label(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else ""


def _canonical(name: str) -> str:
    """A distribution's name, normalised as package indexes do (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
