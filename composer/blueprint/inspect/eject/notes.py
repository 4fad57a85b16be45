"""The docstrings of an ejected file: sizes, first values and buffers of networks.

Tests: tests/blueprint/eject/test_eject.py.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from itertools import product

from composer.blueprint.inspect.eject.expression import STEP, WIDTH
from composer.blueprint.syntax.write import toml_value
from composer.networks.outline import BufferPlan, Outline, ParameterPlan
from composer.spec.family import dump_tagged

_INDEX = re.compile(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.|$)")


def wrapped(text: str, indent: str, hanging: str = "") -> list[str]:
    """Lines of a paragraph, those after the first indented by ``hanging`` more."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def first_values(outline: Outline) -> Iterator[str]:
    """Lines of a docstring: how each parameter is drawn, and where buffers start."""
    indent, further = " " * STEP, " " * 2 * STEP
    groups: dict[str, list[str]] = {}
    for path, plan in outline.named_parameters():
        groups.setdefault(_drawn(plan), []).append(path)
    if groups:
        yield f"{indent}First values, as the blueprint declares them:"
    for words, paths in groups.items():
        yield from wrapped(f"{words}: {', '.join(grouped(paths))}", further, " " * STEP)
    buffers: dict[str, list[str]] = {}
    for path, buffer in outline.named_buffers():
        buffers.setdefault(_started(buffer), []).append(path)
    if buffers:
        yield f"{indent}Buffers:"
    for words, paths in buffers.items():
        yield from wrapped(f"{words}: {', '.join(grouped(paths))}", further, " " * STEP)


def _drawn(plan: ParameterPlan) -> str:
    words = [toml_value(dump_tagged(plan.initializer))]
    if not plan.trainable:
        words.append("frozen")
    if plan.unit_axis is not None:
        words.append(f"vectors along axis {plan.unit_axis} at unit norm, at first and after every optimizer step")
    if plan.shares_norm:
        words.append(f"{' and '.join(plan.shares_norm)} together at the norm sqrt(n) after every optimizer step")
    return "; ".join(words)


def _started(plan: BufferPlan) -> str:
    return {
        "statistic": f"running statistics, {plan.start:g} at first",
        "counter": "counters, 0 at first",
        "key": "keys of random streams, each its own; 0 here",
    }[plan.kind]


def grouped(paths: list[str]) -> list[str]:
    """Paths that differ in indices alone, written as one: ``trunk.{0,1}.weight``, ``trunk.{0..7}.weight``."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        found.setdefault(_INDEX.sub("*", path), []).append(tuple(_INDEX.findall(path)))
    return [text for pattern, indices in found.items() for text in _together(pattern, indices)]


def _together(pattern: str, indices: list[tuple[str, ...]]) -> Iterator[str]:
    columns = [list(dict.fromkeys(column)) for column in zip(*indices, strict=True)]
    if indices == [*product(*columns)]:
        yield _filled(pattern, [_spanned(column) for column in columns])
    else:
        yield from (_filled(pattern, row) for row in indices)


def _filled(pattern: str, texts: list[str] | tuple[str, ...]) -> str:
    pieces = pattern.split("*")
    return "".join(piece + text for piece, text in zip(pieces, [*texts, ""], strict=True))


def _spanned(column: list[str]) -> str:
    if len(column) == 1:
        return column[0]
    numbers = [*map(int, column)]
    if len(numbers) > 2 and numbers == [*range(numbers[0], numbers[0] + len(numbers))]:
        return f"{{{numbers[0]}..{numbers[-1]}}}"
    return f"{{{','.join(column)}}}"


def sized(name: str, outline: Outline) -> str:
    """Input shape and size of a network, in one line."""
    count, frozen = outline.count(), outline.count() - outline.count(trainable_only=True)
    size = f"{count:,} parameter{'s' if count != 1 else ''}" + (f", {frozen:,} of them frozen" if frozen else "")
    return f"The network {name!r}, on inputs of shape {list(outline.input)}: {size}"
