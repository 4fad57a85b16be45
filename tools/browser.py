"""MLflow's page in a browser without a window, as ``composer ui`` opens it: for pictures in the docs, and for tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
QUIET: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WIDTH: Final = 1440
HEIGHT: Final = 900
PATIENCE: Final = 120_000
"""Milliseconds for the first chart: MLflow's page is slow on a busy machine."""


def browser() -> str | None:
    """The program of the browser; None where the machine has none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def served(runs: Path, *options: str) -> Iterator[str]:
    """Run ``composer ui`` on the store of a runs directory; gives the address that it opens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    program = "from composer.cli import main; main()"
    command = [sys.executable, "-c", program, "ui", "--runs", str(runs), "--port", port, "--no-browser", *options]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            yield next(found[1] for line in server.stderr if (found := re.match(r"(http\S+)  \(Ctrl-C", line)))
        finally:
            server.send_signal(signal.SIGTERM)


@contextmanager
def opened(program: str, height: int = HEIGHT) -> Iterator[Page]:
    """A page of the browser that is this program, as wide as a notebook's screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=program, args=list(QUIET))
        page = found.new_page(viewport={"width": WIDTH, "height": height})
        page.set_default_timeout(PATIENCE)
        # The page greets its first visitor with a panel over the charts.
        page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        yield page
        found.close()
