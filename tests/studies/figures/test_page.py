"""The HTML page of a comparison, and how its figures read in print."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from composer.studies.compare.compare import compare
from composer.studies.compare.report import sections
from composer.studies.figures.draw import Wanted, agent_looks, draw
from composer.studies.figures.intervals import improvement
from composer.studies.figures.page import page
from composer.studies.plots import look
from composer.studies.statistics import Estimate
from tests.comparison_runs import write_run


def test_lines_differ_in_print_without_colour() -> None:
    looks = [look(number) for number in range(24)]
    assert (
        len({(each.colour, each.dash) for each in looks}) == len({(each.colour, each.marker) for each in looks}) == 24
    )
    assert all(one.dash != other.dash and one.marker != other.marker for one, other in pairwise(looks))
    pairs = [("a", "b", Estimate(0.2, 0.1, 0.3)), ("a", "c", Estimate(0.9, 0.8, 1.0))]
    names = [text.get_text() for text in improvement(pairs, "x").figure.axes[0].get_yticklabels()]
    assert names == ["a\n> c", "a\n> b"], "the most likely first"


def test_boxes_choose_the_agents_that_figures_and_tables_show(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / n, n, {s: (0.0, s + k) for s in range(3)}, steps=(1, 2)) for k, n in enumerate("abc")]
    comparison = compare(runs)
    sheets, table = draw(comparison, Wanted(), ".html"), comparison.table
    text = page("t", sections(table), sheets, [], looks=agent_looks(comparison))
    assert [f'id="show-agent-{number}" checked' in text for number in range(4)] == [True] * 3 + [False]
    assert "body:has(#show-agent-1:not(:checked)) .agent-1 { display: none; }" in text
    # Curves, aggregates, profile and efficiency show agents by themselves; improvement shows pairs.
    drawings = [each.split("</svg>")[0] for each in text.split("<svg")[1:]]
    assert ['class="agent-1"' in each for each in drawings] == [True] * 4 + [False]
    assert ' id="agent-' not in text and '<tr class="agent-0 agent-1"><td>a - b</td>' in text
    assert text.count('<tr class="agent-1"><td>b</td>') == text.count("<details open>") == 1
    sheets[0].write(tmp_path / "x.svg")
    assert ' id="agent-' not in (tmp_path / "x.svg").read_text()
    alone = page("t", sections(table), sheets[-1:], [], looks=agent_looks(comparison))
    assert "checkbox" not in alone, "no figure shows single agents"
