"""``composer tabular quantile-grid``: where QTD's mean beats TD, over chains, reward noises and step sizes.

Three structures of transitions, as the paper's experiments have them: a deterministic cycle, few successors, many
successors; four noises of rewards. Numbers of states, updates and quantiles, and step sizes, are this project's.
Source: Rowland et al., arXiv:2305.18388. Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from composer.studies.plots import figure
from composer.studies.statistics import DISTANCE, Scores
from composer.studies.tabular.chains import Chain, garnet
from composer.studies.tabular.noises import EXPONENTIAL, GAUSSIAN, NONE, STUDENT, Floats
from composer.studies.tabular.quantile_experiment import RATES, learn

STATES: Final = 15
NOISES: Final = (NONE, GAUSSIAN, EXPONENTIAL, STUDENT)


def structures(seed: int) -> dict[str, Chain]:
    """A chain of each structure; rewards and probabilities are drawn from ``seed``."""
    few, many = garnet(STATES, 2, seed), garnet(STATES, STATES, seed)
    cycle = replace(few, transition=np.roll(np.eye(STATES), 1, axis=1))
    return {"cycle": cycle, "few successors": few, "many successors": many}


def measure(seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    rows, curves = [], []
    for name in structures(0):
        for noise in NOISES:
            errors, tuning = (
                _errors([replace(structures(seed)[name], noise=noise) for seed in numbers], numbers)
                for numbers in (range(seeds), range(seeds, 2 * seeds))
            )
            best = {method: int(found.mean(1).argmin()) for method, found in tuning.items()}
            row: dict[str, Any] = {"transitions": name, "noise": noise.name}
            chosen = {method: found[best[method]] for method, found in errors.items()}
            for method, found in chosen.items():
                row[method] = Scores.of(found, bounds=DISTANCE).summary()
                row[f"{method}_step_size"] = float(RATES[method][best[method]])
                points = [Scores.of(each, bounds=DISTANCE).summary() for each in errors[method]]
                curve = {"panel": f"{name}, {noise.name}", "line": method, "x": RATES[method].tolist(), "y": points}
                curves.append(curve)
            rows.append(row | {"advantage": Scores.of(_advantage(**chosen), bounds=(-1.0, 1.0)).summary()})
    return {
        "measured": "root mean square error of the value at the best step size; advantage of QTD, from -1 to 1",
        "settings": {"states": STATES, "discount": 0.9},
        "rows": rows,
        "axes": {"x": "step size", "y": "error of the value"},
        "curves": curves,
    }


def _advantage(TD: Floats, QTD: Floats) -> Floats:
    """``(e_TD - e_QTD) / (e_TD + e_QTD)``: 1/3 where TD's error is twice QTD's; TD may be exact without noise."""
    share: Floats = (TD - QTD) / np.maximum(TD + QTD, np.finfo(float).tiny)
    return share


def _errors(chains: list[Chain], seeds: range) -> dict[str, Floats]:
    """``[rates, S]``: a chain for each seed."""
    found = [learn(chain, [seed]) for chain, seed in zip(chains, seeds, strict=True)]
    return {method: np.concatenate([each[method] for each in found], 1) for method in found[0]}


def draw(table: Mapping[str, Any], path: Path) -> None:
    """A map of the advantage: a row for each structure of transitions, a column for each noise."""
    rows = table["rows"]
    across = list(dict.fromkeys(row["noise"] for row in rows))
    down = list(dict.fromkeys(row["transitions"] for row in rows))
    values = np.array([row["advantage"]["value"] for row in rows]).reshape(len(down), len(across))
    most = np.abs(values).max()
    with figure(path, 1.7 + 1.15 * len(across), 1.1 + 0.55 * len(down)) as made:
        axes = made.subplots()
        shown = axes.imshow(values, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
        for i, row in enumerate(rows):
            found = row["advantage"]
            interval = "" if found["low"] is None else f"\n[{found['low']:+.2f}, {found['high']:+.2f}]"
            at = divmod(i, len(across))
            colour = "white" if abs(values[at]) > 0.7 * most else "black"
            axes.text(*at[::-1], f"{values[at]:+.2f}{interval}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(across)), across)
        axes.set_yticks(range(len(down)), down)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="noise of rewards", ylabel="transitions")
        made.colorbar(shown, ax=axes, label="advantage of QTD")
