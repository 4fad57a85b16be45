"""``composer doctor``: forks, scores, verdict, proxies and picture in one table, and the table as text.

Tests: tests/studies/test_doctor.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from composer.blueprint import Blueprint
from composer.networks.parameter_selectors import Paths
from composer.spec.interval import LEAST as LEAST_SEEDS
from composer.spec.interval import method
from composer.spec.run_files import write_text
from composer.studies import Refused
from composer.studies.doctor import forks, picture, proxies
from composer.studies.doctor.beforehand import announced, branches_needed, ensure_answerable, updates_with_fresh_weights
from composer.studies.doctor.site import Site, outlines_of, site
from composer.studies.doctor.verdict import LEAST, Diagnosis, answer, diagnose
from composer.studies.statistics import Curve, Floats, coverage_notes
from composer.tracking.records import JOURNAL
from composer.training.assemble import Origin, read_origin
from composer.training.runs.results import read_metrics

EVALUATIONS: Final = 5
"""Evaluations after the fork, by default."""
PAIRS: Final = 10
"""Pairs of forks, by default at least."""
REPORT, PICTURE = "doctor.json", "doctor.png"


def examine(
    run: Path,
    at: int | None,
    branches: int | None,
    horizon: int | None,
    where: Sequence[str],
    out: Path | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Fork a checkpoint of ``run`` with and without fresh weights, compare, and write report and picture into ``out``.

    Raises NotForkable, RunUnusable, CheckpointDamaged, BlueprintError, Stopped where a fork stops, and, before any fork
    is trained, Refused where the forks could not give an answer.
    """
    if horizon is not None and horizon < 1:
        raise Refused(f"the horizon must be one environment step or more, got {horizon}")
    origin = read_origin(run, at)
    _tell_damaged(origin, say)
    blueprint = origin.blueprint
    chosen = site(blueprint, where)
    plan = forks.Plan(
        run,
        origin,
        chosen.override(blueprint, origin.interactions + 1),
        horizon or EVALUATIONS * blueprint.evaluation.every,
        default_branches(len(blueprint.seeds)) if branches is None else branches,
        out or run.parent / f"doctor-{origin.facts['run_id']}-{origin.step}",
    )
    ensure_answerable(plan, chosen.role)
    say(announced(plan))
    paths = forks.train(plan, say)
    metric = blueprint.environment.metric
    bounds = blueprint.environment.metric_range
    plain, injected = (forks.curves(paths[arm], metric, blueprint.seeds, bounds) for arm in forks.ARMS)
    table = _table(plan, chosen, metric, plain, injected)
    table["forks"] = {arm: [str(path) for path in found] for arm, found in paths.items()}
    report, drawn = plan.folder / REPORT, plan.folder / PICTURE
    picture.draw(drawn, _history(run, metric, origin), plain, injected, table, begins=origin.step)
    write_text(report, json.dumps(table, indent=1) + "\n")
    return table | {"report": str(report), "picture": str(drawn)}


def _tell_damaged(origin: Origin, say: Callable[[str], None]) -> None:
    for damage in origin.snapshot.skipped:
        say(f"damaged: {damage}; the checkpoint of environment step {origin.step:,} is used instead")


def _table(plan: forks.Plan, chosen: Site, metric: str, plain: Curve, injected: Curve) -> dict[str, Any]:
    blueprint = plan.origin.blueprint
    scores = [curve.area().reshape(len(blueprint.seeds), plan.branches) for curve in (plain, injected)]
    diagnosis = diagnose(scores[0], scores[1], plain.bounds)
    table = {
        "run": str(plan.run),
        "env_step": plan.origin.step,
        "horizon": plan.horizon,
        "updates": updates_with_fresh_weights(plan),
        "interval": over(len(blueprint.seeds)),
        "metric": metric,
        "network": chosen.role,
        "where": list(chosen.globs),
        "verdict": diagnosis.verdict,
        "sentence": "",
        "gain": diagnosis.gain.as_dict(),
        "margin": diagnosis.margin,
        "p_value": diagnosis.p_value,
        "plain": diagnosis.plain,
        "injected": float(scores[1].mean()),
        "pairs": _pairs(blueprint, *scores),
        "proxies": proxies.proxies(plan.run, blueprint, chosen.role, plan.origin.step),
        "forks": {},
        "notes": [*_notes(blueprint, *scores), *_confounds(blueprint, chosen)],
    }
    table["sentence"] = sentence(table, diagnosis)
    return table


def text(
    table: Mapping[str, Any],
    shared: str = "both forks of a pair have the same random streams",
    others: Sequence[str] = (),
) -> str:
    """The sentence, then what was injected, the proxies, ``others`` and the notes; ``shared`` is what pairs share."""
    where = ", ".join(table["where"])
    lines = [
        table["sentence"],
        "",
        f"injected: {where}; {shared}",
        "",
        *proxies.lines(table["proxies"]),
        *others,
        "",
        *(f"note: {note}" for note in table["notes"]),
        f"picture: {table['picture']}; all figures: {table['report']}",
    ]
    return "\n".join(lines)


def sentence(table: Mapping[str, Any], diagnosis: Diagnosis) -> str:
    """The answer with its numbers."""
    gain = diagnosis.gain
    within = "" if math.isnan(gain.low) else f" [{gain.low:+.3g}, {gain.high:+.3g}], the {table['interval']},"
    effect = (
        f"fresh weights injected into {table['network']!r} at environment step {table['env_step']:,} changed"
        f" {table['metric']} over the next {table['horizon']:,} steps ({table['updates']:,} updates) by"
        f" {gain.value:+.3g}{within} from {diagnosis.plain:.3g}"
    )
    return answer(diagnosis, effect, len(table["pairs"]))


def over(seeds: int) -> str:
    """The name of the interval of the gain."""
    return method("seeds" if seeds >= LEAST_SEEDS else "the branches of each seed")


def default_branches(seeds: int) -> int:
    """Branches of each seed for ``PAIRS`` pairs in all, and never fewer than an answer needs."""
    return max(math.ceil(PAIRS / seeds), branches_needed(seeds))


def _pairs(blueprint: Blueprint, plain: Floats, injected: Floats) -> list[dict[str, Any]]:
    return [
        {"seed": seed, "branch": branch, "plain": float(without), "injected": float(fresh)}
        for seed, ours, theirs in zip(blueprint.seeds, plain, injected, strict=True)
        for branch, (without, fresh) in enumerate(zip(ours, theirs, strict=True))
    ]


def _notes(blueprint: Blueprint, plain: Floats, injected: Floats) -> list[str]:
    seeds, pairs = len(blueprint.seeds), plain.size
    notes = []
    if seeds < LEAST:
        agents = "one agent" if seeds == 1 else f"{seeds} agents"
        notes.append(f"the run has {agents}: the answer holds for them, not for agents of the blueprint in general")
    units = (seeds, "seeds") if seeds >= LEAST_SEEDS else (pairs, "pairs")
    return notes + [f"{note}; the sign-flip test is exact" for note in coverage_notes(*units)]


def _confounds(blueprint: Blueprint, chosen: Site) -> Iterator[str]:
    """Penalties and interventions of the run that act on the injected layers and not on the added terms."""
    outlines = outlines_of(blueprint)
    injected = set(Paths(globs=chosen.globs).select(outlines))
    outlines |= blueprint.algorithm.learned_scalars()
    for table, declared in (("penalties", blueprint.penalties), ("interventions", blueprint.interventions)):
        names = [f"{table}.{name}" for name, each in declared.items() if injected & set(each.where.select(outlines))]
        if names:
            yield f"{', '.join(names)} does not reach the fresh weights: part of the gain may be due to that"


def _history(run: Path, metric: str, origin: Origin) -> Curve | None:
    """The run's own curve up to the fork, at steps that all of its seeds have."""
    found = read_metrics(run / JOURNAL, origin.blueprint.seeds, metric).get(metric)
    if found is None:
        return None
    kept = (found.env_steps <= origin.step) & ~np.isnan(found.values).any(0)
    return Curve(found.env_steps, found.values).only(kept) if kept.any() else None
