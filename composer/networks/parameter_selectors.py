"""Selectors of parameters, resolved before a tensor exists, so that a glob without a match is an error.

A parameter is named ``role.path``, such as ``critic.trunk.1.weight``.
Tests: tests/networks/test_parameter_selectors.py.
"""

from __future__ import annotations

import fnmatch
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.outline import Outline
from composer.spec.family import Family, Items
from composer.spec.wording import listing, near, spelled, suggestion

ParameterName = tuple[str, str]
"""A role and the path of a parameter below it: ``("critic", "trunk.1.weight")``."""
Glob = Annotated[str, Field(min_length=1, max_length=200)]


class Selector(Family, family="selector"):
    """Which parameters an intervention changes. A list of globs is ``{ kind = "paths" }``."""

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """A list is the ``globs`` of ``paths``."""
        return {"kind": "paths", "globs": value} if isinstance(value, list) else value

    @abstractmethod
    def select(self, outlines: Mapping[str, Outline]) -> tuple[ParameterName, ...]:
        """The chosen parameters of networks and learned scalars by role, in their order."""

    @abstractmethod
    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """What is wrong with this selector: pairs of key and message."""


class Paths(Selector, kind="paths"):
    """Parameters whose ``role.path`` matches a glob; ``*`` spans dots, and ``!`` before a glob excludes."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "paths", "globs": ["critic.head.*", "!*.bias"]}

    globs: Annotated[Items[Glob], Field(min_length=1, max_length=64)]
    """Taken in order; the last one that matches decides."""

    @override
    def to_shorthand(self, table: dict[str, Any]) -> object:
        return list(self.globs)

    @override
    def select(self, outlines: Mapping[str, Outline]) -> tuple[ParameterName, ...]:
        return tuple(parameter for parameter in _names(outlines) if self._takes(".".join(parameter)))

    @override
    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        names = [".".join(parameter) for parameter in _names(outlines)]
        for index, glob in enumerate(self.globs):
            if not fnmatch.filter(names, glob.removeprefix("!")):
                whole = [f"{role}.*" for role in outlines]
                meant = near(glob, [*whole, *names])
                hint = f"; did you mean {meant!r}?" if meant else f"; one of {listing(whole)}"
                where = "composer show --paths lists them"
                yield f"globs[{index}]", f"{spelled(glob)} matches no parameter ({where}){hint}"

    def _takes(self, name: str) -> bool:
        taken = False
        for glob in self.globs:
            if fnmatch.fnmatchcase(name, glob.removeprefix("!")):
                taken = not glob.startswith("!")
        return taken


class LastLayers(Selector, kind="last_layers"):
    """The last ``count`` layers of a network: blocks with a weight of at least two axes, with all their parameters."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "last_layers", "of": "critic", "count": 2}

    of: Annotated[str, Field(min_length=1, max_length=64)]
    """The network."""
    count: Annotated[int, Field(ge=1, le=1_000)] = 1
    """How many layers, the output layer included."""

    @override
    def select(self, outlines: Mapping[str, Outline]) -> tuple[ParameterName, ...]:
        # Norms between layers are not layers, and stay.
        layers = list(_layers(outlines[self.of], ""))[-self.count :]
        return tuple((self.of, path) for layer in layers for path in layer)

    @override
    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        if self.of not in outlines:
            yield "of", f"no network named {spelled(self.of)}{suggestion(self.of, outlines)}"
        elif (have := len(list(_layers(outlines[self.of], "")))) < self.count:
            yield "count", f"{self.of!r} has {have} layers"


def _names(outlines: Mapping[str, Outline]) -> Iterator[ParameterName]:
    for role, outline in outlines.items():
        for path, _ in outline.named_parameters():
            yield role, path


def _layers(outline: Outline, prefix: str) -> Iterator[list[str]]:
    if any(len(plan.shape) >= 2 for plan in outline.parameters.values()):
        yield [prefix + name for name in outline.parameters]
    for name, child in outline.children.items():
        yield from _layers(child, f"{prefix}{name}.")
