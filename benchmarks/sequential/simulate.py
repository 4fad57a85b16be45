"""Levels, power and seeds of the sequential test over simulated studies.

``python -m benchmarks.sequential.simulate`` prints a line of JSON per setting; a minute of one core for each five-agent
setting, seconds for others. ``fixed`` is the same test with one look, its seeds chosen for a power of 80 %.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from composer.studies.sequential.course import course
from composer.studies.sequential.permutation import Design

Floats = NDArray[np.float64]
CHUNK: Final = 50
"""Studies that share their relabellings."""
DRAWS: Final[Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], Floats]]] = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "skewed": lambda rng, shape: rng.exponential(1, shape) - 1,
    "one in five fails": lambda rng, shape: rng.normal(0, 0.3, shape) - 2.5 * (rng.random(shape) < 0.2),
}
"""Scores of one agent of standard deviation about 1."""


def simulate(
    agents: int, design: Design, scores: str, apart: float, spreads: bool, studies: int, tasks: int = 1
) -> dict[str, Any]:
    """``studies`` studies in which the last agent scores ``apart`` more; with ``spreads`` agents differ in spread."""
    rng, found = np.random.default_rng([agents, design.looks, int(100 * apart)]), []
    for chunk in range(studies // CHUNK):
        drawn = DRAWS[scores](rng, (design.looks, tasks, agents, design.block, CHUNK))
        if spreads:
            drawn *= np.linspace(1, 3, agents)[:, None, None]
        drawn[:, :, -1] += apart
        found.append(course(drawn, design, seed=chunk))
    decided = np.concatenate([each.decided for each in found], axis=-1) > 0
    looks = np.concatenate([each.looks for each in found], axis=-1)
    equal = decided[:-1, :-1] if apart else decided
    wrong = int(equal.any((0, 1)).sum()) if equal.size > 1 else 0
    return {
        "agents": agents,
        "tasks": tasks,
        "looks": design.looks,
        "block": design.block,
        "scores": scores + (", spreads 1 to 3" if spreads else ""),
        "apart": apart,
        "studies": studies,
        "family_wise_errors": wrong,
        "error_interval": binomial_interval(wrong, studies),
        "power": round(float(decided[:-1, -1].mean()), 3) if apart else None,
        "seeds": round(float(looks.sum(0).mean()) * design.block / agents, 2),
        "hopeless": round(float(np.concatenate([each.is_hopeless for each in found]).mean()), 3),
    }


def binomial_interval(count: int, total: int) -> list[float]:
    """The 95 % interval of a share (Clopper and Pearson, 1934)."""
    from scipy.stats import beta

    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(0.975, count + 1, total - count))
    return [round(low, 4), round(high, 4)]


def with_power(agents: int, studies: int, relabellings: int, looks: int | None) -> Design:
    """The smallest design that finds an effect of 1 with a power of 80 %: of one look, or of blocks of three seeds."""
    designs = (
        Design(1, seeds, relabellings=relabellings) if looks == 1 else Design(seeds // 3, 3, relabellings=relabellings)
        for seeds in range(12, 90, 1 if looks == 1 else 3)
    )
    return next(each for each in designs if simulate(agents, each, "normal", 1.0, False, studies)["power"] >= 0.8)


def main() -> None:
    """Levels first, then power and seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--relabellings", type=int, default=1_000)
    parser.add_argument("--agents", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--only", choices=("levels", "seeds"))
    given = parser.parse_args()
    for agents in given.agents:
        if given.only != "seeds":
            levels(agents, given.studies, given.relabellings)
    for agents in given.agents:
        if given.only != "levels":
            seeds(agents, given.studies, given.relabellings)


def levels(agents: int, studies: int, relabellings: int) -> None:
    """Family-wise errors of equal agents, and of equal agents beside one that is two standard deviations better."""
    design = Design(8, 3, relabellings=relabellings)
    for scores in DRAWS:
        print(json.dumps(simulate(agents, design, scores, 0.0, False, studies)), flush=True)
    print(json.dumps(simulate(agents, design, "normal", 0.0, True, studies)), flush=True)
    if agents > 2:
        print(json.dumps(simulate(agents, design, "normal", 2.0, False, studies)), flush=True)


def seeds(agents: int, studies: int, relabellings: int) -> None:
    """Seeds of a sequential design beside those of a fixed one, both with a power of 80 % for an effect of 1."""
    fixed, design = (with_power(agents, studies, relabellings, looks) for looks in (1, None))
    for apart in (0.0, 1.0, 1.5, 2.0):
        found = simulate(agents, design, "normal", apart, False, studies)
        saved = round(1 - found["seeds"] / fixed.block, 3)
        print(json.dumps({"fixed_seeds": fixed.block, "saved": saved, **found}), flush=True)


if __name__ == "__main__":
    main()
