"""``requires``: load the plug-ins that a blueprint lists, and refuse kinds and parts of those that it does not list.

A plug-in counts for the blueprint that lists it, not for others of the same process. Tests: tests/plugin/.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from composer.blueprint.syntax.nodes import Node, plain, show_path, walk
from composer.blueprint.syntax.parts import Part, plugin_parts, read_parts
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.spec import plugins
from composer.spec.package_files import registry_root


@dataclass(frozen=True)
class RequiredPlugins:
    """The plug-ins that a blueprint requires."""

    names: tuple[str, ...]
    """Distributions, as written."""
    parts: Mapping[str, Part]
    """Every part that the blueprint may use, by name."""
    problems: tuple[Problem, ...]
    """One for each plug-in that is not installed or does not work."""

    def refusal(self, name: str) -> tuple[str, str] | None:
        """Message and hint for a plug-in's kind or part that the blueprint may not use; None where it may."""
        return plugins.refusal(name, self.names)

    def fails_to_load(self, node: Node | None) -> bool:
        """Whether a name is unknown only because a required plug-in, reported itself, cannot be loaded."""
        name = node.value if node is not None else None
        return bool(self.problems) and plugins.is_namespaced(name) and not plugins.distributions_of(name)


def load_required(root: Node, skipped: Collection[Path] = ()) -> RequiredPlugins:
    """Load the plug-ins that a blueprint requires, but for ``skipped`` entries and those that are no strings."""
    node = root.value.get("requires")
    listed = [*node.children()] if node is not None and isinstance(node.value, list) else []
    named = [(step, child) for step, child in listed if isinstance(child.value, str)]
    known, problems = dict(read_parts(registry_root())), []
    for step, child in named:
        path: Path = ("requires", step)
        if path in skipped:
            continue
        try:
            known |= plugin_parts(plugins.load(child.value))
        except plugins.PluginError as error:
            problems.append(problem(child.at, show_path(path), error.message, error.hint))
        except BlueprintError as error:
            message = f"the plug-in {child.value!r} has a bad part: {error.problems[0]}"
            problems.append(problem(child.at, show_path(path), message))
    return RequiredPlugins(tuple(plain(child) for _, child in named), known, tuple(problems))


def unrequired_kinds(root: Node, required: RequiredPlugins) -> tuple[list[Problem], set[Path]]:
    """Problems of kinds whose plug-in is not required, and the paths of these kinds."""
    problems, skipped = [], set()
    for path, node in walk(root):
        if path[-1:] != ("kind",) or not plugins.is_namespaced(node.value):
            continue
        found = required.refusal(node.value)
        if found is not None:
            skipped.add(path)
            if not required.fails_to_load(node):
                problems.append(problem(node.at, show_path(path), *found))
    return problems, skipped
