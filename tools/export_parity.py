"""Export the policy of every shipped blueprint, and print how far each file is from the agent.

``python -m tools.export_parity [NAME ...]``: each blueprint is trained for a few updates after 500 random decisions (in
its variant ``small`` where it has one), without its interventions, exported as torch and as ONNX, and held to the agent
on observations of evaluation episodes. Data sets that are not on this machine are replaced by generated pictures of
their shape. Results: docs/benchmarks/export.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import composer
from composer.blueprint import Blueprint, BlueprintError
from composer.blueprint.syntax.extends import shipped
from composer.spec.errors import ComposerError
from composer.training.export.export import export
from composer.training.export.formats import FORMATS

GENERATED = 'environment.data={{kind="generated_images", side={side}, labels=10, samples=512, held_out=128}}'
SIDES = {"warm_start/resnet18": 32, "warm_start/vit_tiny": 32, "warm_start/vgg16": 64}
"""Blueprints of data sets that are downloaded by hand: side of a picture. Their small variants have ten classes."""
WARMUP = 500
"""Random decisions, so that observation statistics are those of a run, and not of its first second."""
QUICK = ("tracking.kind=none", "compute.compile=never", "compute.threads=1", "seeds=[0]", "evaluation.episodes=1")


def overrides(name: str, blueprint: Blueprint) -> list[str]:
    """What makes a blueprint one of a few updates."""
    found = list(QUICK)
    if name in SIDES:
        found.append(GENERATED.format(side=SIDES[name]))
    if not blueprint.environment.is_simulator:
        found += ["environment.phases=[{updates=2}, {updates=2}]"] if name.startswith("warm_start/") else []
        return [*found, "training.env_steps=4", "evaluation.every=4", "checkpoint.every=4", "training.log_every=4"]
    plan = blueprint.algorithm.rollout_plan
    interactions = plan.interactions if plan is not None else WARMUP + 8
    found += ["~interventions"] if blueprint.interventions else []
    steps = interactions * blueprint.environment.stride
    found += [f"{key}={steps}" for key in ("training.env_steps", "evaluation.every", "checkpoint.every")]
    if plan is None:
        found += [f"algorithm.warmup_interactions={WARMUP}", "replay.capacity=1_000"]
    return found


def small(name: str) -> Blueprint:
    """A shipped blueprint that a few updates train."""
    file = shipped()[name]
    whole = composer.load(file)
    loaded = composer.blueprint.load(file)
    variant = "small" if "small" in loaded.variants else None
    return composer.load(file, overrides(name, whole), variant=variant)


def rows(name: str, folder: Path) -> dict[str, Any]:
    """Train and export one blueprint: a row of the table."""
    started = time.monotonic()
    blueprint = small(name)
    result = composer.train(blueprint, folder / "runs")
    found: dict[str, Any] = {"blueprint": name}
    for kind in FORMATS:
        try:
            card = export(result.path, kind, None, out=folder / kind)
            found[kind] = f"{card['parity']['difference']:.2g}"
            found["float32 rounds by"] = f"{card['parity']['float32_rounding']:.2g}"
            found |= {"output": card["output"], "parameters": f"{card['parameters']:,}"}
            found["input"] = ", ".join(f"{key} {shape}" for key, shape in card["inputs"].items())
            found["observations"] = f"{card['parity']['observations']:,}"
        except ComposerError as error:
            found[kind] = str(error)
    return found | {"seconds": f"{time.monotonic() - started:.0f}"}


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="blueprints; by default all that ship")
    names = parser.parse_args().names or sorted(shipped())
    heads = ("blueprint", "input", "output", "parameters", "observations", *FORMATS, "float32 rounds by", "seconds")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = rows(name, Path(folder))
            except (ComposerError, BlueprintError) as error:
                row = {"blueprint": name, "input": str(error)}
        print(f"| {' | '.join(row.get(head, '').replace('|', '/') for head in heads)} |", flush=True)


if __name__ == "__main__":
    main()
