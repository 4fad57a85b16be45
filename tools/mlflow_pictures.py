"""The pictures of MLflow's page in the docs (``python -m tools.mlflow_pictures [--project DIRECTORY]``).

Trains three variants of PPO on three seeds each, about two minutes on one core, unless the directory has them, and
opens their page as ``composer ui`` does. Needs chromium, and the extra ``dev``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from composer.tracking.page.links import TRAINING
from tools.browser import browser, opened, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "images"
SETTLE: Final = 2500
"""Milliseconds in which charts take their final size."""
BLUEPRINT: Final = """\
blueprint = 1
extends = "classic/cartpole_ppo"
name = "cartpole"
description = "Do normalised layers help PPO on CartPole, and does a small learning rate hurt?"

[training]
env_steps = 61_440
log_every = 2_048

[evaluation]
every = 4_096
episodes = 10

[diagnostics]
every = 4_096
measures = [{ kind = "dormant" }, { kind = "rank" }, { kind = "parameter_norm" }]

[variants.layer_norm.networks.actor.trunk]
kind = "repeat"
times = 2
block = [{ kind = "linear", width = 64 }, { kind = "layer_norm" }, { kind = "tanh" }]

[variants.layer_norm.networks.critic.trunk]
kind = "repeat"
times = 2
block = [{ kind = "linear", width = 64 }, { kind = "layer_norm" }, { kind = "tanh" }]

[variants.slow.optimizers]
actor = { learning_rate = 1e-4 }
critic = { learning_rate = 1e-4 }
"""
VARIANTS: Final = ("", "@layer_norm", "@slow")


def train(project: Path) -> None:
    """Train what ``project`` lacks."""
    project.mkdir(parents=True, exist_ok=True)
    (project / "cartpole.toml").write_text(BLUEPRINT, encoding="utf-8")
    if (project / "runs").exists():
        return
    for variant in VARIANTS:
        program = "from composer.cli import main; main()"
        subprocess.run([sys.executable, "-c", program, "train", f"cartpole.toml{variant}"], cwd=project, check=True)


def draw(page: Page, address: str) -> None:
    """Write the pictures of the views, and of the page of the best run."""
    base = address.partition("#")[0]
    for view in ("plasticity", "media", "overview"):
        page.goto("about:blank")
        page.goto(address.replace("=overview", f"={view}"))
        ready = "img[src*='get-artifact']" if view == "media" else ".js-plotly-plot .trace, .js-plotly-plot .bartext"
        page.locator(ready).first.wait_for(state="attached")
        page.wait_for_timeout(SETTLE)
        page.screenshot(path=IMAGES / f"mlflow-{view}.png")
    best = page.locator(".ag-row a").first.get_attribute("href")
    page.goto("about:blank")
    page.goto(f"{base}{best}?{TRAINING}")
    page.get_by_text("Description").first.wait_for()
    page.wait_for_timeout(SETTLE)
    page.screenshot(path=IMAGES / "mlflow-run.png")


def main() -> None:
    """Train where needed, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, help="where the runs are, or will be")
    chosen: Path | None = parser.parse_args().project
    program = browser()
    if program is None:
        raise SystemExit("needs chromium")
    with tempfile.TemporaryDirectory() as folder:
        project = chosen or Path(folder) / "cartpole"
        train(project)
        with served(project / "runs") as address, opened(program) as page:
            draw(page, address)


if __name__ == "__main__":
    main()
