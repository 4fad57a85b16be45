"""What an axis does on average, against means and intervals by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from composer.spec.interval import interval, mean_interval
from composer.studies.compare.compare import Comparison, compare
from composer.studies.figures.heat import heat
from composer.studies.report.effects import effects
from tests.comparison_runs import write_run

AXES = {"width": (32, 64), "resets": (False, True)}


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """Three seeds a point: 10 more for resets, 100 for width 64, and a spread of 1, in another order at every point."""
    paths = []
    for width in AXES["width"]:
        for resets in AXES["resets"]:
            point = {"width": width, "resets": resets}
            place = {seed: (seed + len(paths)) % 3 for seed in range(3)}
            values = {seed: (0.0, 100.0 * (width == 64) + 10.0 * resets + place[seed]) for seed in range(3)}
            paths.append(tmp_path / f"{width}-{resets}")
            write_run(paths[-1], "agent", values, "walker-walk", steps=(500, 1000), study={"name": "s", "point": point})
    return compare(paths, constants="none")


def test_an_axis_is_compared_over_the_combinations_of_the_others(comparison: Comparison) -> None:
    """By hand: the places at the four points are 012, 120, 201, 012."""
    width, resets = effects(AXES, comparison)
    assert resets.heading == "Effect of resets, averaged over 2 combinations of the other axes and tasks"
    by_seed = np.array([0 - 1 + 2 - 0, 1 - 2 + 0 - 1, 2 - 0 + 1 - 2]) / 2 - 10.0
    strata = [np.arange(3.0) / 2, np.arange(3.0) / 2, -np.arange(3.0) / 2, -np.arange(3.0) / 2]
    (low, high), (narrow, _) = mean_interval(by_seed), interval(np.array(-10.0), strata)
    assert low < narrow  # Here the seeds do not agree: theirs is the wider one.
    assert f"resets=false - resets=true is -10.0 [{low:.1f}, {high:.1f}]" in resets.sentences[0]
    error, freedom = by_seed.std(ddof=1) / np.sqrt(3), 2
    least = 2 / math.comb(6, 3) ** 2  # By permutation of three seeds against three at two points.
    p = 2 * max(2 * stats.t.sf(10.0 / error, freedom), least)  # Two comparisons.
    assert f"p = {p:.3f}" in resets.sentences[0]
    # Between the combinations lie 100; that is not spread. By pairs of points, three seeds could show nothing.
    assert "resets=true scores higher than resets=false" in resets.sentences[0]
    assert (
        "width=64 scores higher than width=32" in width.sentences[0] and "Holm over 2 comparisons" in width.sentences[0]
    )
    assert [row[1] for row in width.rows[1:]] == ["2 × 3", "2 × 3"] and width.rows[1][2].startswith("6.0 [")


def test_points_that_are_copies_of_each_other_count_once(tmp_path: Path) -> None:
    """An agent on which the other axis has no effect has three seeds, however many points it has."""
    rng = np.random.default_rng(0)
    noise, paths = rng.normal(size=3), []
    for size in range(8):
        for agent in ("same", "other"):
            spread = noise if agent == "same" else 0.001 * rng.normal(size=3)
            values = {seed: (0.0, 10.0 + float(spread[seed])) for seed in range(3)}
            study = {"name": "s", "point": {"agent": agent, "size": size}}
            paths.append(tmp_path / f"{agent}-{size}")
            write_run(paths[-1], agent, values, "walker-walk", steps=(500, 1000), study=study)
    by_agent, _ = effects({"agent": ("same", "other"), "size": tuple(range(8))}, compare(paths, constants="none"))
    low, high = mean_interval(10.0 + noise)
    assert by_agent.rows[1] == ["agent=same", "8 × 3", f"{10 + noise.mean():.1f} [{low:.1f}, {high:.1f}]"]


def test_only_whole_combinations_count_and_one_axis_has_no_section(comparison: Comparison, tmp_path: Path) -> None:
    assert (
        effects({"width": (32, 64)}, comparison) == [] == effects({"width": (32,), "resets": (False, True)}, comparison)
    )
    less = compare([path for path in tmp_path.iterdir() if path.name != "64-True"], constants="none")
    width, resets = effects(AXES, less)
    assert "averaged over 1 combination" in width.heading and "1 combination" in resets.heading


def test_panels_of_a_heat_map_say_which_axis_their_value_is_of(comparison: Comparison) -> None:
    sheet = heat(comparison, "task", "width")
    assert [axes.get_title("left") for axes in sheet.figure.axes[:2]] == ["resets=false", "resets=true"]
