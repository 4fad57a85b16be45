"""``python -m benchmarks.vlm``: models of several sizes, how well each tells the goal, and what agents learn from it.

Makes the models in ``models/``, a folder of the working directory, measures precision and recall of their rewards on
random pictures, then trains ``point.toml`` under each. Needs the extra ``vlm``; downloads nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.vlm.drawn_point import GOAL
from benchmarks.vlm.tiny_clip import CAPTIONS, make, points
from composer import api
from composer.environments.rewards.clip_judge import ClipJudge
from composer.environments.rewards.vision_language import VisionLanguage

POINT = Path(__file__).with_name("point.toml")
SIZES: Mapping[str, tuple[int, int, int]] = {
    "random": (128, 1, 0),
    "small": (32, 1, 3_000),
    "middle": (64, 1, 3_000),
    "large": (128, 1, 3_000),
}
"""Width, layers, and pictures that the projections are fitted to."""
TEMPERATURE = 0.1


def precision_and_recall(folder: Path, pictures: int = 2_000) -> tuple[float, float]:
    """Of rewards at a threshold of 1/2, on pictures that no model was fitted to."""
    others = tuple(caption for caption in CAPTIONS if caption != GOAL)
    texts: dict[str, Any] = {"goal": GOAL, "negatives": others}
    judge = VisionLanguage(model=str(folder), **texts, image_size=32, temperature=TEMPERATURE).build()
    assert isinstance(judge, ClipJudge)
    _, seen, captions = points(pictures, seed=999_999)
    told, true = judge.probabilities(seen) > 0.5, np.array([caption == GOAL for caption in captions])
    return float((told & true).sum() / max(told.sum(), 1)), float((told & true).sum() / true.sum())


def trained(runs: Path, changes: Sequence[str]) -> dict[str, list[float]]:
    """True returns of the last evaluation, by seed."""
    result = api.train(api.load(POINT, list(changes)), runs, quiet=True)
    return {"returns": [round(float(value), 3) for value in result.returns.mean(1)]}


def main(arguments: Sequence[str]) -> int:
    """Print a line for each model, then one for the task's own reward; ``--out`` writes the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vlm")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--only-models", action="store_true", help="make the models, and train no agent")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    for name, sizes in SIZES.items():
        folder = make(given.models / name, *sizes)
        precision, recall = precision_and_recall(folder)
        figures[name] = {"precision": precision, "recall": recall}
        if not given.only_models:
            figures[name] |= trained(given.runs, [f"environment.reward.model={json.dumps(str(folder))}"])
        print(name, figures[name], flush=True)
    if not given.only_models:
        figures["own"] = trained(given.runs, ["environment.reward.environment_share=1.0"])
        print("own", figures["own"], flush=True)
    if given.out:
        given.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
