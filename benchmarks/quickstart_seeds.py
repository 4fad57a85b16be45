"""``python -m benchmarks.quickstart_seeds``: train the quickstart on twelve seeds that were not used to choose it.

Its promise: a mean return of at least 800 at the end, and no seed below 700. Exit code 1 where it is not kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from composer import api
from composer.spec.package_files import blueprints_root

SEEDS = range(200, 212)
"""None of them was looked at when the quickstart was chosen."""
LEAST_MEAN, LEAST = 800.0, 700.0


def verdict(returns: Mapping[int, float]) -> str:
    """What of the promise the final returns by seed do not keep, in words; empty where they keep it."""
    low = {seed: value for seed, value in returns.items() if value < LEAST}
    found = [f"seed {seed} ends at {value:.0f}, below {LEAST:.0f}" for seed, value in low.items()]
    if (mean := statistics.fmean(returns.values())) < LEAST_MEAN:
        found.append(f"the mean is {mean:.0f}, below {LEAST_MEAN:.0f}")
    return "; ".join(found)


def main(arguments: Sequence[str]) -> int:
    """Train in one program, print a line per seed and the verdict; ``--out`` writes the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quickstart_seeds")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    overrides = [f"seeds={list(SEEDS)}", "tracking={ kind = 'none' }"]
    blueprint = api.load(blueprints_root() / "quickstart.toml", overrides)
    result = api.train(blueprint, given.runs, quiet=False)
    returns = dict(zip(SEEDS, map(float, result.returns.mean(1)), strict=True))
    for seed, value in returns.items():
        print(f"seed {seed}  {value:.1f}")
    mean, seconds = statistics.fmean(returns.values()), result.table["seconds"]
    print(f"mean {mean:.1f}, lowest {min(returns.values()):.1f}, {seconds / 60:.1f} minutes for {len(returns)} seeds")
    if given.out:
        figures = {"returns": returns, "mean": mean, "seconds": seconds}
        given.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if broken := verdict(returns):
        print(f"the promise is not kept: {broken}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
