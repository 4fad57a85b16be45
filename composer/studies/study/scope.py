"""What ``${...}`` names in a study file: values of axes, and other settings of the same point.

``${axis.width}`` and ``${set.algorithm.batch_size}`` are absolute. A name with dots in front is relative, as in
OmegaConf: one dot is the table of the key itself, so that ``${.depth}`` in ``networks.critic.trunk.width`` is
``networks.critic.trunk.depth``. Tests: tests/studies/study/test_expressions.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from composer.blueprint.syntax.nodes import Node, show_path
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem
from composer.spec.wording import near, quote
from composer.studies.study.arithmetic import WrongExpression
from composer.studies.study.expressions import evaluate, is_expression
from composer.studies.study.points import Value
from composer.studies.study.problems import study_problem

MAX_CHAIN = 32
"""Most settings that lead to one value by naming each other."""


class _Dependent(Exception):
    """A value that depends on one with a problem, which is reported there."""


class Scope:
    """The settings of one point."""

    def __init__(self, axes: Mapping[str, Value], entries: Mapping[Path, Node]) -> None:
        self.problems: dict[Path, Problem] = {}
        """Problems of expressions by the path of the setting."""
        self.used: set[str] = set()
        """The axes that expressions named."""
        self._axes = axes
        self._entries = entries
        self._known: dict[Path, object] = {}
        self._trail: list[Path] = []

    def value(self, path: Path, node: Node) -> object | None:
        """The value of a setting, of TOML types; None where it has a problem, or depends on one that has."""
        try:
            return self._value(path, node)
        except _Dependent:
            return None

    def _value(self, path: Path, node: Node) -> object:
        if isinstance(node.value, dict):
            return {name: self._value((*path, name), child) for name, child in node.value.items()}
        if isinstance(node.value, list):
            return [self._value((*path, index), child) for index, child in enumerate(node.value)]
        if not is_expression(node.value):
            return node.value
        if path in self.problems:
            raise _Dependent
        if path not in self._known:
            self._known[path] = self._evaluated(path, node)
        return self._known[path]

    def _evaluated(self, path: Path, node: Node) -> object:
        self._trail.append(path)
        try:
            return evaluate(node.value, lambda dots, steps: self._named(path, dots, steps))
        except WrongExpression as error:
            self.problems[path] = study_problem(node.at, show_path(path), error.message, error.hint)
            raise _Dependent from None
        finally:
            self._trail.pop()

    def _named(self, path: Path, dots: int, steps: Sequence[str]) -> object:
        if dots > len(path) + 1:
            raise WrongExpression(f"{dots} dots lead out of the study")
        target: tuple[str | int, ...] = (*("set", *path)[:-dots], *steps) if dots else (*steps,)
        if target[:1] == ("axis",):
            return self._axis([str(step) for step in target[1:]])
        if target[:1] == ("set",):
            return self._setting(target[1:])
        name = ".".join(map(str, target))
        known = [f"axis.{axis}" for axis in self._axes]
        is_axis = name in self._axes
        raise WrongExpression(f"there is no {quote(name)}", _meant(f"axis.{name}" if is_axis else name, known))

    def _axis(self, steps: Sequence[str]) -> Value:
        name = ".".join(steps)
        if name not in self._axes:
            message = f"no axis named {quote(name)}" if steps else "names all axes; name one, as in ${axis.width}"
            raise WrongExpression(message, _meant(name, self._axes))
        self.used.add(name)
        return self._axes[name]

    def _setting(self, target: Path) -> object:
        for path, node in self._entries.items():
            if [*map(str, path)] == [*map(str, target[: len(path)])]:
                inner = _below(path, node, target[len(path) :])
                if inner is not None:
                    return self._scalar(*inner)
        name = show_path(target)
        if any([*map(str, path[: len(target)])] == [*map(str, target)] for path in self._entries):
            raise WrongExpression(f"{quote(name)} is a table; name a value in it")
        raise WrongExpression(f"nothing sets {quote(name)}", _meant(name, map(show_path, self._entries)))

    def _scalar(self, path: Path, node: Node) -> object:
        if path in self._trail:
            loop = " → ".join(show_path(each) for each in (*self._trail[self._trail.index(path) :], path))
            raise WrongExpression(f"names itself: {loop}")
        if len(self._trail) > MAX_CHAIN:
            raise WrongExpression(f"more than {MAX_CHAIN} settings lead to its value")
        if node.is_table:
            raise WrongExpression(f"{quote(show_path(path))} is a table; name a value in it")
        return self._value(path, node)


def _below(path: Path, node: Node, steps: Path) -> tuple[Path, Node] | None:
    for step in steps:
        index = int(step) if isinstance(node.value, list) and str(step).isdecimal() else step
        child = node.child(index)
        if child is None:
            return None
        path, node = (*path, index), child
    return path, node


def _meant(name: str, known: Iterable[str]) -> str:
    names = [*known]
    meant = near(name, names)
    if meant:
        return f"did you mean {meant!r}?"
    return f"one of {', '.join(sorted(names)[:12])}" if names else ""
