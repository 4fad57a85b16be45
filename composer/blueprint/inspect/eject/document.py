"""The ejected file: its header and imports, the modules it needs, a function for each network.

Tests: tests/blueprint/eject/test_eject.py runs the file of every shipped part and blueprint
beside the modules it replaces.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.blueprint.forecast.growth import grown_outlines
from composer.blueprint.inspect.eject.expression import STEP, expression
from composer.blueprint.inspect.eject.gathering import Gathered, TopLevelName
from composer.blueprint.inspect.eject.notes import first_values, sized, wrapped
from composer.blueprint.inspect.eject.sources import Import, Statement
from composer.blueprint.inspect.eject.text import import_lines, renamed
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import digest
from composer.blueprint.syntax.write import toml_value
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall
from composer.spec.version import __version__

NN = "torch.nn"


@dataclass(frozen=True)
class Subject:
    """A module to print."""

    name: str
    """The name of the function that makes it."""
    call: LazyCall
    outline: Outline
    copies: int = 1
    note: str = ""
    """What a run makes of it later, for the docstring."""


def eject(blueprint: Blueprint) -> str:
    """The networks of a valid blueprint as a file that imports torch and Python's own library alone.

    Its functions are named by role and make modules that compute the same numbers with the same ``state_dict``. Nothing
    is imported to print it. Raises EjectError where a plug-in's module needs what such a file cannot hold.
    """
    subjects, actions = [], blueprint.environment.info.action_size
    for role, outline in blueprint.agent.sound_outlines.items():
        network = blueprint.networks[role]
        call = network.module(outline.input, actions)
        subjects.append(Subject(role, call, outline, network.copies, _grown(blueprint, role)))
    environment = {"kind": blueprint.environment.kind, **blueprint.environment.model_dump(exclude_defaults=True)}
    about = [f"Digest of the blueprint: {digest(blueprint)}.", f"Environment: {toml_value(environment)}."]
    statistic = blueprint.normalization.observation
    if not statistic.is_identity:
        about.append(f"Networks see observations normalised by {statistic.kind}, which is no part of them.")
    return printed(f"The networks of the blueprint {blueprint.name!r}", about, subjects)


def printed(title: str, about: Sequence[str], subjects: Sequence[Subject]) -> str:
    """A file with a function for each of ``subjects``; ``title`` and ``about`` are its docstring."""
    targets = [target for subject in subjects for target in _targets(subject.call)]
    gathered = Gathered({"composer", *(target.partition(".")[0].partition(":")[0] for target in targets)})
    gathered.import_whole(NN)
    for target in targets:
        module, _, name = target.partition(":")
        if Import(module, name, name).stays:
            gathered.import_whole(module)
        else:
            gathered.take(module, name)
    functions = [f"{subject.name}_" if keyword.iskeyword(subject.name) else subject.name for subject in subjects]
    names = gathered.names(functions)
    pieces = [
        *_definitions(gathered, names),
        *(_function(function, subject, names) for function, subject in zip(functions, subjects, strict=True)),
    ]
    head = [*_docstring(title, about), "from __future__ import annotations", "", *import_lines(gathered.imports, names)]
    return "\n".join(head) + "".join(pieces) + "\n"


def _docstring(title: str, about: Sequence[str]) -> Iterator[str]:
    yield f'"""{title} in plain torch, printed by composer {__version__}.'
    yield ""
    for line in about:
        yield from wrapped(line, "")
    text = (
        "A state_dict of composer's network loads into the module of the same name here, and gives the same numbers. "
        "Until then it holds torch's own first values or unset memory; the docstring of each network says what a "
        "run draws."
    )
    yield from wrapped(text, "")
    yield '"""'
    yield ""


def _targets(value: Any) -> Iterator[str]:
    """What a tree of calls calls, inner calls too."""
    if isinstance(value, LazyCall):
        yield value.target
        yield from _targets([*value.args, *value.kwargs.values()])
    elif isinstance(value, Mapping):
        yield from _targets([*value.values()])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _targets(item)


def _definitions(gathered: Gathered, names: Mapping[TopLevelName, str]) -> Iterator[str]:
    """Every needed statement, after the empty lines that set it apart."""
    after_definition = False
    for source, statements in gathered.sections():
        comment = "".join(f"{line}\n" for line in wrapped(f"{source.name}: {source.title}", "# "))
        last: Statement | None = None
        for statement in statements:
            apart = after_definition or statement.is_definition
            gap = "\n\n\n" if apart else "\n" if _follows(statement, last) else "\n\n"
            yield gap + ("" if last else comment) + renamed(source, statement, names)
            after_definition, last = statement.is_definition, statement


def _follows(statement: Statement, last: Statement | None) -> bool:
    """Whether a statement directly follows the one before in their module."""
    return last is not None and last.last + 1 == statement.first


def _grown(blueprint: Blueprint, role: str) -> str:
    after = grown_outlines(blueprint).get(role)
    many = "" if after is None else f"{after.count():,} parameters a copy"
    return many and f"As at the start of a run: interventions let it grow to {many} (``composer show``)."


def _function(function: str, subject: Subject, names: Mapping[TopLevelName, str]) -> str:
    indent = " " * STEP

    def named(target: str) -> str:
        module, _, name = target.partition(":")
        return f"{names['', module]}.{name}" if Import(module, name, name).stays else names[module, name]

    about = [sized(subject.name, subject.outline) + "."]
    if subject.copies > 1:
        copies = f"A run has {subject.copies} independent copies: ``[{function}() for _ in range({subject.copies})]``."
        about += ["", *wrapped(copies, indent)]
    if subject.note:
        about += ["", *wrapped(subject.note, indent)]
    notes = [*first_values(subject.outline)]
    about += ["", *notes] if notes else []
    lines = [f"def {function}() -> {names['', NN]}.Module:", f'{indent}"""{about[0]}', *about[1:]]
    lines = [*lines, f'{indent}"""'] if about[1:] else [*lines[:-1], lines[-1] + '"""']
    lines.append(expression(subject.call, named, STEP, "return "))
    return "\n\n\n" + "\n".join(lines)
