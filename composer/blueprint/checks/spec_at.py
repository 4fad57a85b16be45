"""Find the spec, the family, the bounds and the node of the file at a path of a blueprint."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from composer.blueprint.syntax.nodes import Node
from composer.blueprint.syntax.positions import Path
from composer.spec.family import Family, Spec

Annotation = Any
Options = list[Any]


def spec_at(root: type[Spec], values: object, steps: Path) -> type[Spec] | None:
    """The class that validates the table at ``steps`` below ``root``, or None."""
    annotation: Annotation = root
    for step in steps:
        annotation, values = _into(annotation, values, step)
    found = _spec(annotation, values)[0]
    return found if found is not None and not _is_open(found) else None


def limits_at(root: type[Spec], values: object, steps: Path) -> list[object]:
    """The declared bounds (``annotated_types.Ge`` and so on) of the value at ``steps``."""
    annotation: Annotation = root
    declared: list[object] = []
    for step in steps:
        spec, _ = _spec(annotation, values)
        field = spec.model_fields.get(str(step)) if spec else None
        declared = list(field.metadata) if field else []
        annotation, values = _into(annotation, values, step)
    return [*declared, *_declared(annotation)]


def _declared(annotation: Annotation) -> list[object]:
    """The metadata of an annotation and of its members."""
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        found = [item for each in metadata for item in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return [*found, *_declared(inner)]
    if origin in (Union, types.UnionType):
        return [item for member in get_args(annotation) for item in _declared(member)]
    return []


def family_at(root: type[Spec], values: object, steps: Path) -> type[Family] | None:
    """The family that is expected at ``steps``, or None."""
    annotation: Annotation = root
    for step in steps:
        annotation, values = _into(annotation, values, step)
    return next((option for option in _options(annotation) if _is_open(option)), None)


def file_steps(root: Node, steps: Path) -> tuple[Path, Node, Path]:
    """Follow ``steps`` in the file: the path reached, its node, and the steps that are not in the file.

    A list may stand for a table with one key, which is not in the file: a name as a step into a list is skipped.
    """
    node = root
    path: Path = ()
    for index, step in enumerate(steps):
        if isinstance(node.value, list) and isinstance(step, str):
            continue
        child = node.child(step)
        if child is None:
            return path, node, tuple(steps[index:])
        node, path = child, (*path, step)
    return path, node, ()


def _is_open(option: object) -> bool:
    return isinstance(option, type) and issubclass(option, Family) and not option.kind


def _options(annotation: Annotation) -> Options:
    """The types that an annotation admits, unwrapped."""
    if isinstance(annotation, TypeVar):
        return []
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        return _options(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [option for member in get_args(annotation) for option in _options(member)]
    return [annotation]


def _spec(annotation: Annotation, values: object) -> tuple[type[Spec] | None, object]:
    """The spec of an annotation that validates ``values``, and the values with shorthands replaced."""
    for option in _options(annotation):
        if not (isinstance(option, type) and issubclass(option, Spec)):
            continue
        if not _is_open(option):
            return option, values
        values = option.from_shorthand(values)  # type: ignore[attr-defined]
        name = values.get("kind") if isinstance(values, Mapping) else None
        member = option.kinds().get(name) if isinstance(name, str) else None  # type: ignore[attr-defined]
        return member or option, values
    return None, values


def _into(annotation: Annotation, values: object, step: str | int) -> tuple[Annotation, object]:
    """The annotation and the values one step below."""
    spec, values = _spec(annotation, values)
    inner: object = None
    if isinstance(values, Mapping):
        inner = values.get(step)
    elif isinstance(values, list) and isinstance(step, int) and 0 <= step < len(values):
        inner = values[step]
    if spec is not None:
        field = spec.model_fields.get(str(step))
        return (field.annotation if field else None), inner
    for option in _options(annotation):
        arguments = [argument for argument in get_args(option) if argument is not Ellipsis]
        container: Any = get_origin(option)
        if container in (dict, list, tuple) and arguments:
            return arguments[-1], inner
    return None, inner
