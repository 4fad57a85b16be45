"""MLflow's page in a browser, opened as ``composer ui`` opens it: what stands on the first screen.

The format of views is internal to MLflow. These tests say whether the installed one still reads it, and whether names
and order alone still bring the headline first.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tracking_run import append, new_run

from composer.spec.interval import mean_interval
from composer.tracking.page.links import OVERVIEW, link
from composer.tracking.records import JOURNAL
from composer.tracking.uploader import sync
from tools.browser import BROWSERS, HEIGHT, browser, opened, served

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest.importorskip("playwright.sync_api", reason="playwright is in the extra dev")
PROGRAM = browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason=f"needs {' or '.join(BROWSERS)} on the PATH"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
SEEDS = [0, 1, 2]
RATES = {"ppo": 1.0, "ppo@layer_norm": 4.0, "ppo@wide": 2.0}
"""Agents, in the order in which they are trained, and how fast they learn."""
STEPS = range(0, 5000, 1000)


def result(agent: str, seed: int, step: int) -> float:
    return 500 * (1 - math.exp(-RATES[agent] * step / 10_000)) + 5 * seed


def mean(agent: str, step: int) -> float:
    return sum(result(agent, seed, step) for seed in SEEDS) / len(SEEDS)


BEST_FIRST = sorted(RATES, key=lambda agent: -RATES[agent])
NAMES = [f"{agent} · CartPole-v1" for agent in BEST_FIRST]
FINALS = [f"{mean(agent, STEPS[-1]):.2f}" for agent in BEST_FIRST]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three agents of three seeds, delivered as after training."""
    found = tmp_path_factory.mktemp("project")
    for number, agent in enumerate(RATES):
        name, _, variant = agent.partition("@")
        facts = {"name": name, "variant": variant or None, "task": "CartPole-v1", "seeds": SEEDS}
        tags = {"agent": agent, "task": "CartPole-v1", "seeds": "0,1,2"}
        path = new_run(found / "runs" / name / agent, f"r-{number}", tags, **facts)  # type: ignore[arg-type]
        rows: list[Any] = []
        for step in STEPS:
            for seed in SEEDS:
                metrics = {"actor/loss": 1.0, "evaluation/return": result(agent, seed, step), "training/return": 0.0}
                rows.append({"type": "metrics", "env_step": step, "seed": seed, "metrics": metrics})
        append(path / JOURNAL, rows)
        assert sync(path).is_complete
    return found


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    """What ``composer ui`` says that it opens."""
    with served(project / "runs" / "ppo", "--experiment", "composer") as found:
        yield found


@pytest.fixture(scope="module")
def page() -> Iterator["Page"]:
    assert PROGRAM is not None
    with opened(PROGRAM) as found:
        yield found


def cards(page: "Page") -> "Locator":
    """The cards with charts, in the order in which they stand."""
    return page.get_by_test_id("experiment-view-compare-runs-card")


def title(card: "Locator") -> str:
    return str(card.inner_text()).split("\n", 1)[0]


def is_on_screen(element: "Locator") -> bool:
    box = element.bounding_box()
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= HEIGHT


def test_the_first_screen_names_the_best_agent(page: "Page", address: str) -> None:
    """Alone opens the page as a user does: a browser, MLflow's server and the real delivery."""
    page.goto(address)
    curves, bars = cards(page).nth(0), cards(page).nth(1)
    curves.locator(".scatterlayer .trace").first.wait_for()
    bars.locator(".bartext").first.wait_for()
    assert title(curves) == "Result/return vs Result/return.low vs Result/return.high"
    drawn = curves.locator(".js-plotly-plot").evaluate("plot => plot.data.map(d => [d.name, d.metricKey, [...d.y]])")
    lines = {(name, key): values for name, key, values in drawn if values}
    bounds = ("Result/return", "Result/return.low", "Result/return.high")
    assert set(lines) == {(name, key) for name in NAMES for key in bounds}, "three agents, with intervals, and no seeds"
    for agent, name in zip(BEST_FIRST, NAMES, strict=True):
        assert lines[name, bounds[0]] == pytest.approx([mean(agent, step) for step in STEPS])
        low, high = mean_interval([result(agent, seed, STEPS[-1]) for seed in SEEDS])
        assert (lines[name, bounds[1]][-1], lines[name, bounds[2]][-1]) == pytest.approx((low, high))
    assert title(bars) == "Result/return"
    assert sorted(bars.locator(".bartext").all_text_contents()) == sorted(FINALS), "their values, as numbers"
    named = page.locator(".ag-row a").all_inner_texts()
    assert named == NAMES, "the best agent first, and no seed"
    colors = page.get_by_test_id("experiment-view-table-run-color").evaluate_all("all => all.map(e => e.outerHTML)")
    assert len(set(colors)) == len(RATES)
    assert is_on_screen(curves) and is_on_screen(bars)


def test_the_table_has_a_column_of_returns(page: "Page", address: str) -> None:
    """Alone reads the columns that a view asks for."""
    page.goto("about:blank")  # Else it is the page of before, which goes on.
    page.goto(address.replace("compareRunsMode=CHART", "compareRunsMode=TABLE"))
    page.locator(".ag-header-cell", has_text="Result/steps").wait_for()
    placed = "all => all.map(e => [e.getBoundingClientRect().x, e.innerText.trim()])"
    heads = [head for _, head in sorted(page.locator(".ag-header-cell").evaluate_all(placed))]
    wanted = ["Result/return", "Result/return.area", "Result/return.best", "task", "agent", "seeds", "Result/steps"]
    assert [head for head in heads if head in wanted] == wanted and heads.index("Duration") > heads.index("agent")
    cells = page.locator('.ag-row [col-id="$$$metric$$$-Result/return"], .ag-row [col-id*="Result/return`"]')
    cells.first.wait_for()
    assert [f"{float(text):.2f}" for text in cells.all_inner_texts()] == FINALS


def test_names_and_order_bring_the_headline_first_without_a_view(page: "Page", address: str) -> None:
    """Alone sees what is left where a later MLflow ignores our views."""
    base, _, _ = address.partition("#")
    assert OVERVIEW in address
    page.goto("about:blank")
    page.goto(base + link("1"))
    cards(page).first.locator(".scatterlayer .trace").first.wait_for()
    assert title(cards(page).first) == "Result/return"
    sections = page.get_by_test_id("experiment-view-compare-runs-section-header").all_inner_texts()
    assert sections[0].startswith("Result")
