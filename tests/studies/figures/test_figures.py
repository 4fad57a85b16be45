"""Figures of comparisons: panels, labels, numbers, and what is said; no pixels."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from composer.cli import app
from composer.studies import Refused
from composer.studies.compare.compare import Comparison, compare
from composer.studies.compare.groups import Group
from composer.studies.compare.read_runs import Agent, Reading
from composer.studies.figures.curves import MOST_MARKS, curves, marked
from composer.studies.figures.draw import Wanted, draw
from composer.studies.figures.intervals import improvement
from composer.studies.figures.matrix import Matrix, draw_matrix
from composer.studies.figures.names import short_names
from composer.studies.figures.sheet import Sheet, wrap
from composer.studies.statistics import Curve, Estimate
from composer.tracking.journal import Journal
from tests.comparison_runs import write_run

LONG = "a_long_name:with+variants (networks.critic.trunk.layers[0].width=512, algorithm.update_to_data=4)"


def synthetic(agents: int, tasks: int, firings: int = 0) -> list[Group]:
    """Groups of four seeds at eight steps; every second agent fires."""
    rng, steps = np.random.default_rng(0), np.arange(1, 9) * 25_000
    found = []
    for a in range(agents):
        agent = Agent(LONG if a == 2 else f"agent_{a}", None)
        at = {int(step): 4 for step in np.linspace(25_000, 200_000, firings)} if a % 2 else {}
        run = Reading(Path("x"), agent, "t", None, "m", {}, (), {"reset": {0: at}} if at else {})  # type: ignore[arg-type]
        for k in range(tasks):
            curve = Curve(steps, rng.random((4, 8)) * 1000, (0, 1000))
            found.append(Group(agent, f"humanoid_bench-h1hand-task-{k:02}-v0", (0, 1, 2, 3), curve, (run,)))
    return found


def assert_nothing_is_clipped(sheet: Sheet) -> None:
    figure = sheet.figure
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    for artist in (*figure.axes, *figure.legends, *figure.texts):
        box = artist.get_tightbbox(figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None)
        left, low, right, high = np.array(box.extents) / figure.dpi
        assert left > -0.02 and low > -0.02 and right < width + 0.02 and high < height + 0.02, artist
    boxes = [legend.get_window_extent() for legend in figure.legends]
    for panel in figure.axes:
        for box in (*boxes, figure.texts[0].get_window_extent()):
            assert not box.overlaps(panel.get_window_extent()), "legend and caption are below the panels"


@pytest.mark.parametrize(("agents", "tasks"), [(2, 1), (3, 7), (20, 2), (1, 26)])
def test_curves_have_a_panel_per_task_and_a_legend_for_all(agents: int, tasks: int) -> None:
    groups = synthetic(agents, tasks, firings=3)
    sheet = curves(groups, "evaluation/return")
    panels = [axes for axes in sheet.figure.axes if axes.axison]
    assert len(panels) == tasks
    assert [axes.get_title("left").replace("\n", "") for axes in panels] == sorted({group.task for group in groups})
    assert panels[-1].get_xlabel() == "environment steps" and panels[0].get_ylabel() == "evaluation return"
    named = [text.get_text() for text in sheet.figure.legends[0].get_texts()]
    assert len(named) == agents + (agents > 1), "every agent once, and the mark"
    assert agents == 1 or named[-1] == "reset fires"
    if tasks == 1:
        ends = {str(group.agent): -group.curve.values[:, -1].mean() for group in groups}
        assert named[:agents] == sorted(ends, key=lambda agent: ends[agent]), "the legend reads as the curves end"
    assert "mean over 4 seeds, band: 95% t interval over seeds" in sheet.caption
    looks = {(line.get_color(), line.get_linestyle()) for line in panels[0].lines if line.get_linewidth() == 1.6}
    assert len(looks) == agents, "no two agents look the same"
    assert_nothing_is_clipped(sheet)


def test_firings_are_marked_on_the_mean_and_thinned_where_there_are_many() -> None:
    groups = synthetic(2, 1, firings=3)
    (panel,) = curves(groups, "m").figure.axes
    (marks,) = [line for line in panel.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert marks.get_xdata().tolist() == [25_000, 112_500, 200_000]
    mean = groups[1].curve.values.mean(0)
    assert marks.get_ydata() == pytest.approx([mean[0], (mean[3] + mean[4]) / 2, mean[-1]])
    many = curves(synthetic(2, 1, firings=500), "m")
    (marks,) = [line for line in many.figure.axes[0].lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert (
        len(marks.get_xdata()) == MOST_MARKS
        and f"reset of agent_1 on {groups[0].task} ({MOST_MARKS} of 500)" in many.caption
    )
    uneven = curves([groups[0], replace(groups[1], seeds=(0, 1))], "m")
    named = [text.get_text() for text in uneven.figure.legends[0].get_texts()]
    assert named == ["agent_0 (4 seeds)", "agent_1 (2 seeds)", "reset fires"] and "over 2 to 4 seeds" in uneven.caption
    assert marked(list(range(100)))[0] == 0 and marked(list(range(100)))[-1] == 99


def test_names_are_short_where_they_stay_different() -> None:
    same = ["a (x.width=1, environment.phases[0].noise[0]=2)", "a (x.width=3, environment.phases[0].noise[0]=2)"]
    assert list(short_names(same).values()) == ["width=1, noise=2", "width=3, noise=2"]
    reset = "(interventions.r.when.kind={}, interventions.r.where[0]={} #1a2b)"
    names = [f"dqn {reset.format('absent', 'absent')}", f"dqn {reset.format('every', '*')}", "rainbow"]
    assert list(short_names(names).values()) == ["dqn (no r)", "dqn (r)", "rainbow"]
    clash = ["a (actor.width=1, critic.width=2)", "a (actor.width=2, critic.width=2)"]
    assert list(short_names(clash).values()) == ["actor.width=1, critic.width=2", "actor.width=2, critic.width=2"]
    alike = ["a (interventions.r.x=1, interventions.r.y=1)", "a (interventions.r.x=2, interventions.r.y=1)"]
    assert list(short_names(alike).values()) == alike, "short ones would be equal"
    twice = ["sac (variant=base)", "sac:norm (variant=norm)"]
    assert list(short_names(twice).values()) == ["sac", "sac:norm"], "a variant is named once"
    assert wrap("noise=0.25, width=0.5", 12) == "noise=0.25,\nwidth=0.5" and wrap("x" * 30, 20).count("\n") == 1


@pytest.fixture
def grid(tmp_path: Path) -> Comparison:
    """Two widths by three ratios without one corner; seed s of a run scores 100 width + 10 ratio + s."""
    runs = []
    for width in (1, 2):
        for ratio in (0.5, 1, 2):
            if (width, ratio) != (2, 0.5):
                values = {seed: (0.0, 100.0 * width + 10 * ratio + seed) for seed in range(3)}
                path = tmp_path / f"{width}-{ratio}"
                facts = {"study": {"name": "s", "folder": "f", "point": {"width": width, "ratio": ratio}}}
                overrides = [f"algorithm.update_to_data={ratio}", f"algorithm.batch_size={64 * width}"]
                runs.append(write_run(path, "a", values, steps=(500, 1000), overrides=overrides, **facts))
                counts = {role: {"count": 500 * width} for role in ("actor", "critic")}
                (path / "parameters.json").write_text(json.dumps(counts))
                with Journal(path / "timing.jsonl") as journal:
                    for step, rate in ((100, 10.0), (600, 100.0), (1100, 1.0)):
                        metrics = {"speed/env_steps_per_second": rate}
                        journal.append({"type": "timing", "env_step": step, "seed": None, "metrics": metrics})
    return compare(runs)


@pytest.mark.parametrize("keys", [("width", "ratio"), ("algorithm.batch_size", "algorithm.update_to_data")])
def test_a_heat_map_has_means_with_intervals_and_says_what_is_missing(grid: Comparison, keys: tuple[str, str]) -> None:
    (sheet,) = draw(grid, Wanted(rows=keys[0], columns=keys[1]).checked(), ".png")
    axes, _ = sheet.figure.axes
    expected = np.ma.masked_invalid([[106.0, 111.0, 121.0], [math.nan, 211.0, 221.0]])
    assert np.ma.allequal(axes.images[0].get_array(), expected) and axes.images[0].get_array().mask[1, 0]
    half = 4.302653 / math.sqrt(3)  # Student's t of two degrees of freedom; the seeds' deviation is 1.
    texts = {tuple(round(x) for x in text.get_position()): text.get_text() for text in axes.texts}
    assert texts[0, 0] == f"106.0\n[{106 - half:.1f}, {106 + half:.1f}]" and (0, 1) not in texts
    assert (
        len(axes.patches) == 1 and sheet.caption.endswith("Hatched: no run.") and "mean over 3 seeds" in sheet.caption
    )
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1", "2"]
    assert (axes.get_ylabel().replace("\n", ""), axes.get_xlabel()) == keys
    assert_nothing_is_clipped(sheet)


def test_heat_maps_of_several_agents_have_panels_or_are_refused(grid: Comparison, tmp_path: Path) -> None:
    by_name = []
    for name, more in (("x", ()), ("y", ("algorithm.n_step=3",))):
        for size in (32, 64):
            overrides = [f"algorithm.batch_size={size}", *more]
            by_name.append(write_run(tmp_path / f"{name}-{size}", name, {0: (1.0, 2.0, size)}, overrides=overrides))
    (sheet,) = draw(compare(by_name), Wanted(rows="task", columns="algorithm.batch_size").checked(), ".png")
    assert [axes.get_title("left") for axes in sheet.figure.axes[:2]] == ["x", "y"]
    assert {text.get_text() for text in sheet.figure.axes[0].texts} == {"32.0\n1 seed", "64.0\n1 seed"}
    with pytest.raises(Refused, match=r"task=walker-walk, variant=base holds 2 agents, which differ in .*batch_size"):
        draw(compare(by_name), Wanted(rows="task", columns="variant").checked(), ".png")
    with pytest.raises(
        Refused, match=r"no run has the setting 'algorithm.batch_sise'; did you mean 'algorithm\.batch_size'"
    ):
        draw(grid, Wanted(rows="width", columns="algorithm.batch_sise").checked(), ".png")


def lines_of(sheet: Sheet) -> dict[str, tuple[list[float], list[float]]]:
    (axes,) = sheet.figure.axes
    named = [line for line in axes.lines if not line.get_label().startswith("_")]
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in named}


def test_performance_against_costs_and_settings(grid: Comparison) -> None:
    def against(x: str) -> dict[str, tuple[list[float], list[float]]]:
        (sheet,) = draw(grid, Wanted(x=x).checked(), ".png")
        assert_nothing_is_clipped(sheet)
        return lines_of(sheet)

    assert against("ratio") == {"width=1": ([0.5, 1, 2], [106, 111, 121]), "width=2": ([1, 2], [211, 221])}
    assert against("parameters")["width=1, ratio=0.5"] == ([1000], [106]), (
        "two axes vary: no agent is joined to another"
    )
    # 100 steps at 10, 500 at 100 and none of the row after step 1,000: 15 s for 600 steps, 25 s for 1,000.
    assert against("seconds")["width=2, ratio=1"][0] == [25.0]
    updates, operations = against("updates"), against("operations")
    assert updates["width=1, ratio=2"][0][0] == pytest.approx(4 * updates["width=1, ratio=0.5"][0][0], rel=0.01)
    small, large = operations["width=1, ratio=1"][0][0], operations["width=2, ratio=1"][0][0]
    assert large == pytest.approx(2 * small), "twice the batch"
    with pytest.raises(Refused, match=r"'paramters'; did you mean 'parameters'"):
        against("paramters")
    with pytest.raises(Refused, match=r"algorithm\.kind is 'sac' for .*: the x axis takes numbers"):
        against("algorithm.kind")


def test_agents_that_differ_in_one_number_are_joined_against_their_cost(tmp_path: Path) -> None:
    runs = []
    for variant in ("base", "wide"):
        for size in (32, 64, 128):
            path = tmp_path / f"{variant}-{size}"
            facts = {"study": {"name": "s", "folder": "f", "point": {"size": size, "variant": variant}}}
            overrides = [f"algorithm.batch_size={size}"]
            runs.append(write_run(path, "a", {0: (1.0, float(size))}, steps=(1, 2), overrides=overrides, **facts))
            (path / "parameters.json").write_text(json.dumps({"actor": {"count": size * 10}}))
    (sheet,) = draw(compare(runs), Wanted(x="parameters").checked(), ".png")
    assert lines_of(sheet) == {f"variant={name}": ([320, 640, 1280], [32, 64, 128]) for name in ("base", "wide")}
    assert sheet.figure.axes[0].get_xscale() == "log"


def test_aggregates_show_the_numbers_of_the_table(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{name}-{task}", name, {s: (0.0, 100.0, level + 20.0 * s) for s in range(4)}, task)
        for name, level in (("bad", 300), ("good", 700))
        for task in ("walker-walk", "cheetah-run")
    ]
    comparison = compare(runs)
    sheets = {sheet.name: sheet for sheet in draw(comparison, Wanted(), ".html")}
    assert list(sheets) == ["curves", "aggregates", "profile", "efficiency", "improvement"]
    rows = {row["agent"]: row for row in comparison.table["all_tasks"]["agents"]}
    panels = {axes.get_title("left"): axes for axes in sheets["aggregates"].figure.axes}
    assert list(panels) == ["IQM", "median", "mean", "optimality gap"]
    for title, key in (("IQM", "iqm"), ("median", "median"), ("mean", "mean"), ("optimality gap", "optimality_gap")):
        bars = panels[title].patches
        for bar, agent in zip(bars, ("good", "bad"), strict=True):
            edges = bar.get_x(), bar.get_x() + bar.get_width()
            assert edges == pytest.approx((rows[agent][key]["low"], rows[agent][key]["high"]))
            assert panels[title].get_xlim()[0] < edges[0] < edges[1] < panels[title].get_xlim()[1], "no bar is cut"
    profile = lines_of(sheets["profile"])
    assert profile["good"][1] == rows["good"]["performance_profile"]["value"]
    assert lines_of(sheets["efficiency"])["bad"][0] == [100, 200, 300]
    (axes,) = sheets["improvement"].figure.axes
    assert axes.get_xlim() == pytest.approx((0, 1), abs=0.02)
    ends = {"bad > good": 0.0, "good > bad": 1.0}
    assert axes.lines[0].get_xdata()[0] == ends[axes.get_yticklabels()[0].get_text().replace("\n", " ")]
    for name in ("curves", "profile", "efficiency"):
        assert [text.get_text() for text in sheets[name].figure.legends[0].get_texts()] == ["good", "bad"], name
    assert all("4 seeds" in sheet.caption for sheet in sheets.values())
    for sheet in sheets.values():
        assert_nothing_is_clipped(sheet)


def test_many_agents_and_large_matrices_stay_legible() -> None:
    agents = [f"agent_{number}" for number in range(11)] + [LONG]
    pairs = [(x, y, Estimate(0.7, 0.5, 0.9)) for i, x in enumerate(agents) for y in agents[i + 1 :]]
    sheet = improvement(pairs, "x")
    assert sheet.figure.axes[0].images[0].get_array()[1, 0] == pytest.approx(0.3)
    assert_nothing_is_clipped(sheet)
    cells = np.random.default_rng(0).random((20, 24))
    names = [f"value_{number}" for number in range(24)]
    texts = [[f"{value:.3f}\n[{value:.3f}, {value:.3f}]" for value in row] for row in cells]
    large = draw_matrix([Matrix("t", names[:20], names, cells, texts, "v", (0, 1))], "heat", "c")
    assert "\n" not in large.figure.axes[0].texts[0].get_text() and large.caption == "c The table has the intervals."
    assert_nothing_is_clipped(large)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".html"])
def test_the_command_writes_the_same_bytes_each_time(tmp_path: Path, suffix: str) -> None:
    runs = [
        str(write_run(tmp_path / n, n, {s: (0.0, s + k) for s in range(3)}, steps=(1, 2))) for k, n in enumerate("<b")
    ]
    kinds = [] if suffix == ".html" else ["--figure", "curves", "--figure", "improvement"]
    written = []
    for number in range(2):
        path = tmp_path / f"{number}{suffix}"
        answered = CliRunner().invoke(app, ["compare", *runs, "--plot", str(path), *kinds, "--json"])
        assert answered.exit_code == 0, answered.stderr
        files = [Path(name) for name in json.loads(answered.stdout)["figures"]]
        written.append([file.read_bytes() for file in files])
        assert [file.name.removeprefix(f"{number}") for file in files] == (
            [suffix] if suffix in (".pdf", ".html") else [f"-curves{suffix}", f"-improvement{suffix}"]
        )
    assert written[0] == written[1] and all(len(each) > 5_000 for each in written[0])
    if suffix == ".html":
        page = written[0][0].decode()
        assert page.count("<svg") == 5 and "&lt; - b" in page and "<script" not in page and "http-equiv" not in page
        assert "too few seeds for any claim" in page and "evaluation/return" in page
        assert not [address for address in page.split('src="')[1:]], "nothing from elsewhere"


def refused(tmp_path: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "run"), *options])
    assert result.exit_code == 2
    return str(result.stderr)


def test_options_that_do_not_fit_are_refused_before_any_run_is_read(tmp_path: Path) -> None:
    plot = ["--plot", str(tmp_path / "x.png")]
    assert "written as .png, .svg, .pdf or .html, got '.gif'" in refused(tmp_path, "--plot", str(tmp_path / "x.gif"))
    assert "no such folder" in refused(tmp_path, "--plot", str(tmp_path / "none" / "x.png"))
    assert "no figure 'curvs'; did you mean 'curves'?" in refused(tmp_path, *plot, "--figure", "curvs")
    assert "give --plot FILE" in refused(tmp_path, "--figure", "heat", "--rows", "a", "--columns", "b")
    assert "needs both --rows and --columns" in refused(tmp_path, *plot, "--rows", "a")
    assert "--figure heat needs --rows KEY" in refused(tmp_path, *plot, "--figure", "heat")
    assert "--x is for --figure scatter, got --figure curves" in refused(
        tmp_path, *plot, "--figure", "curves", "--x", "a"
    )


def test_several_tasks_without_a_scale_are_not_aggregated() -> None:
    table: dict[str, Any] = {"tasks": [{"env_step": 1}, {"env_step": 1}], "all_tasks": None, "metric": "m"}
    comparison = Comparison(tuple(synthetic(2, 2)), table)
    assert [sheet.name for sheet in draw(comparison, Wanted(), ".html")] == ["curves"]
    with pytest.raises(Refused, match="no common scale"):
        draw(comparison, Wanted(("aggregates",)).checked(), ".png")
