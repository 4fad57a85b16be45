"""Advice on valid blueprints, from the literature.

A rule is one function in a module of its subject; advice is never an error. What a blueprint says and its run will not
do is a warning of ``check`` instead (``composer.blueprint.checks.warnings``). Tests: tests/blueprint/test_lint.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.inspect.lint import (
    evidence,
    experience,
    interventions,
    normalization,
    optimization,
)
from composer.blueprint.inspect.lint.base import Rule, Severity, Subject
from composer.blueprint.load import Loaded, load
from composer.blueprint.syntax.nodes import show_path
from composer.environments.interface import as_far_as_known

RULES: tuple[Rule, ...] = (
    normalization.norm_and_decay,
    normalization.high_update_to_data,
    normalization.batch_norm_target,
    normalization.sphere_and_decay,
    normalization.sphere_and_layer_norm,
    normalization.raw_observations,
    optimization.decay_mask,
    optimization.two_averages,
    experience.short_replay,
    experience.long_horizon,
    interventions.stale_moments,
    interventions.late_reset,
    interventions.early_tortoise,
    interventions.target_as_tortoise,
    interventions.measured_effect,
    evidence.one_seed,
    evidence.one_episode,
)


@dataclass(frozen=True, order=True)
class Advice:
    """One piece of advice."""

    file: str
    line: int
    column: int
    path: str
    rule: str
    severity: Severity
    message: str
    source: str
    variant: str | None = None
    """The variant under which it holds; None where it holds for the blueprint itself."""

    def __str__(self) -> str:
        under = f" (variant {self.variant})" if self.variant else ""
        place = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.path}"
        return f"{place}: {self.message}{under} [{self.rule}; {self.source}]"


def lint(path: str | FilePath, overrides: Sequence[str] = (), variant: str | None = None) -> list[Advice]:
    """Advice on the blueprint at ``path`` and, where it is another, on each variant. Raises BlueprintError.

    With a ``variant``, or a combination of several, on that one alone.
    """
    chosen = load(path, overrides, variant, is_to_run=False)
    found = [*_advice(chosen, variant)]
    for name in chosen.variants if variant is None else ():
        known = {(advice.rule, advice.path, advice.message) for advice in found}
        advices = _advice(load(path, overrides, name, is_to_run=False), name)
        found += [advice for advice in advices if (advice.rule, advice.path, advice.message) not in known]
    return found


def lint_text(advice: Sequence[Advice]) -> str:
    """One line per piece of advice."""
    return "\n".join(map(str, advice))


def lint_json(advice: Sequence[Advice]) -> dict[str, Any]:
    """``{"advice": [...]}``, each as a table."""
    return {"advice": [asdict(one) for one in advice]}


def _advice(loaded: Loaded, variant: str | None) -> Iterator[Advice]:
    subject = Subject(loaded.blueprint)
    for one in RULES:
        for path, message in as_far_as_known(one.find(subject)):
            at = loaded.origin(path)
            yield Advice(
                at.file, at.line, at.column, show_path(path), one.id, one.severity, message, one.source, variant
            )
