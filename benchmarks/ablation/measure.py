"""Ablate the planted agent ten times, with other seeds each time, and count the repetitions whose labels are all right.

``python -m benchmarks.ablation.measure --runs DIR`` takes about a minute of one core per repetition, prints a line of
JSON for each, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Final

from composer.studies.ablation.ablate import ablate

BLUEPRINT: Final = Path(__file__).with_name("planted.toml")
TRUTH: Final = {
    "networks.model.trunk.layers[1]": "useful",
    "networks.model.trunk.layers[4]": "no effect",
    "interventions.late_reset": "harmful",
    "optimizers.model.max_gradient_norm": "no effect",
    "optimizers.model.weight_decay": "no effect",
}
SEEDS: Final = 10


def repetition(number: int, runs: Path, jobs: int) -> dict[str, object]:
    """Ablate with seeds of this repetition's own: the verdicts, whether all are right, and seconds."""
    began = time.monotonic()
    table = ablate(
        str(BLUEPRINT),
        (),
        (),
        SEEDS,
        runs_dir=runs,
        folder=runs.parent / "studies" / f"planted-{number}",
        jobs=jobs,
        say=lambda line: print(line, file=sys.stderr),
        first_seed=number * SEEDS,
    )
    verdicts = {row["component"]: row["verdict"] for row in table["components"]}
    effects = {
        row["component"]: [row["leave_one_out"][table["tasks"][0]]["final"][name] for name in ("value", "low", "high")]
        for row in table["components"]
    }
    seconds = round(time.monotonic() - began, 1)
    return {
        "repetition": number,
        "right": verdicts == TRUTH,
        "seconds": seconds,
        "verdicts": verdicts,
        "effects": effects,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    right = 0
    for number in range(given.repetitions):
        found = repetition(number, given.runs, given.jobs)
        right += bool(found["right"])
        print(json.dumps(found), flush=True)
    print(json.dumps({"repetitions": given.repetitions, "right": right}))


if __name__ == "__main__":
    main()
