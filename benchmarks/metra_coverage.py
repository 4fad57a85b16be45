"""``python -m benchmarks.metra_coverage``: how much of the plane METRA's skills cover, beside random behaviour.

Trains a variant of ``point/metra`` on three seeds, or takes a run, and plays the episodes of one evaluation three
times: by the trained policy, by the untrained one with the same random skills, and with uniformly random actions. Exit
code 1 where the trained skills cover less than three times as many cells as uniform actions. Tests: none; it trains.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from composer import api
from composer.environments.coverage import VisitedCells
from composer.spec.random_streams import derive
from composer.training.assemble.resumed_run import load_agent
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.blueprint import Blueprint
    from composer.environments import Simulator

Act = Callable[[torch.Tensor], torch.Tensor]
"""Actions ``[S, E, a]`` for observations ``[S, E, d + k]``."""
FACTOR, NUMBER = 3.0, 1_000
"""Times the cells of uniform actions; the number of the evaluation, which no training run reaches."""


def played(blueprint: Blueprint, act: Act) -> tuple[list[int], NDArray[np.float32]]:
    """Cells that one evaluation's episodes visit, by seed, and its observations ``[T, S, E, d + k]``.

    Of pictures, the places ``[T, S, E, 2]`` beside them.
    """
    environment, seeds, episodes = _simulator(blueprint), blueprint.seeds, blueprint.evaluation.episodes
    assert environment.coverage is not None
    streams = [derive(seed, "episode", episode) for seed in seeds for episode in range(episodes)]
    made, shape = environment.make(streams, "evaluation"), (len(seeds), episodes)
    visited = VisitedCells(environment.coverage, len(seeds))
    now, running = made.reset(episode=NUMBER), np.ones(made.n, bool)
    seen = [(made.places() if made.info.pictures else now).copy()]
    visited.visit(seen[-1], running)
    while running.any():
        action = act(torch.from_numpy(now).unflatten(0, shape))
        step = made.step(action.flatten(0, 1).numpy())
        now = step.final_observation
        seen.append((made.places() if made.info.pictures else now).copy())
        visited.visit(seen[-1], running)
        running &= ~(step.terminated | step.truncated)
    made.close()
    whole: NDArray[np.float32] = np.stack(seen).reshape(len(seen), *shape, -1).astype(np.float32)
    return visited.counts, whole


def policies(blueprint: Blueprint, learner: Learner) -> Mapping[str, Act]:
    """What is compared, by name."""
    untrained = Learner(blueprint.agent, "cpu", Choice(False, "a benchmark"))
    generator = torch.Generator().manual_seed(0)
    actions = blueprint.environment.info.action_size

    def uniform(seen: torch.Tensor) -> torch.Tensor:
        return torch.rand(*seen.shape[:2], actions, generator=generator) * 2 - 1

    return {
        "trained skills": lambda seen: learner.act(seen, explore=False),
        "untrained policy, its mode": lambda seen: untrained.act(seen, explore=False),
        "untrained policy, its draws": lambda seen: untrained.act(seen),
        "uniform actions": uniform,
    }


def draw(path: Path, paths: Mapping[str, NDArray[np.float32]], coordinates: Sequence[int], skills: int) -> None:
    """Trajectories of the first seed, coloured by the direction of their skill, or by their choice."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = ["trained skills", "uniform actions"]
    figure, axes = pyplot.subplots(1, len(shown), figsize=(9, 4.5), sharex=True, sharey=True)
    for axis, name in zip(axes, shown, strict=True):
        seen = paths[name][:, 0]
        for episode in range(seen.shape[1]):
            x, y = (seen[:, episode, entry] for entry in coordinates)
            z = seen[0, episode, -skills:]
            hue = (np.arctan2(z[1], z[0]) / (2 * np.pi)) % 1 if skills == 2 else z.argmax() / skills
            axis.plot(x, y, color=pyplot.get_cmap("hsv")(hue), linewidth=0.8)
        axis.set_title(name)
        axis.set_aspect("equal")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str]) -> int:
    """Train or load, play, print a line per policy; ``--out`` writes JSON, ``--picture`` the trajectories."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metra_coverage")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--variant", default="small", help="of point/metra")
    parser.add_argument("--run", type=Path, help="a run that is there already")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args(arguments)
    run = given.run or _trained(given.runs, given.variant)
    blueprint, learner, snapshot = load_agent(run, device="cpu")
    found = {name: played(blueprint, act) for name, act in policies(blueprint, learner).items()}
    counts = {name: cells for name, (cells, _) in found.items()}
    for name, cells in counts.items():
        print(f"{name:28} {fmean(cells):8.0f} cells  {cells}")
    ratios = [a / b for a, b in zip(counts["trained skills"], counts["uniform actions"], strict=True)]
    interactions = int(snapshot.values["interactions"])
    print(f"times the cells of uniform actions: {', '.join(f'{ratio:.1f}' for ratio in ratios)} by seed")
    if given.out:
        steps = interactions * blueprint.environment.stride
        given.out.write_text(json.dumps({"env_steps": steps, "cells": counts, "ratios": ratios}, indent=2) + "\n")
    if given.picture and blueprint.environment.info.pictures:
        parser.error("--picture: trajectories are drawn of states alone")
    if given.picture:
        environment = _simulator(blueprint)
        assert environment.coverage is not None and environment.skills is not None
        paths = {name: seen for name, (_, seen) in found.items()}
        draw(given.picture, paths, environment.coverage.coordinates, environment.skills.size)
    return min(ratios) < FACTOR


def _simulator(blueprint: Blueprint) -> Simulator:
    return cast("Simulator", blueprint.environment)


def _trained(runs: Path, variant: str) -> Path:
    overrides = ["seeds=[0, 1, 2]", "tracking={ kind = 'none' }"]
    blueprint = api.load("point/metra", overrides, variant=variant)
    return api.train(blueprint, runs, quiet=False).path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
