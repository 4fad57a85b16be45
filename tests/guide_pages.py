"""Pages of guides: their blocks of code, the files that these write, and commands run as the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "docs" / "guide"
SCRIPT = """
import json, sys
from typer.testing import CliRunner
from composer.cli import app

done = [CliRunner().invoke(app, arguments) for arguments in json.loads(sys.argv[1])]
for result in done:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
print(json.dumps([result.output for result in done]))
"""


@dataclass(frozen=True)
class Fence:
    """A block of code: its language, and its lines."""

    language: str
    text: str


def fences(name: str) -> list[Fence]:
    """The blocks of code of a guide."""
    text = (GUIDES / name).read_text(encoding="utf-8")
    return [Fence(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)]


def write_files(name: str, folder: Path) -> list[Path]:
    """The files of a guide, whose blocks begin with their path in a comment."""
    written = []
    for fence in fences(name):
        first = re.match(r"# ([\w./-]+\.(?:toml|py))\n", fence.text)
        if first and fence.language != "diff":
            written.append(folder / first.group(1))
            written[-1].parent.mkdir(parents=True, exist_ok=True)
            written[-1].write_text(fence.text, encoding="utf-8")
    return written


def run(several: list[list[str]], folder: Path, *sites: Path, root: Path = ROOT) -> list[str]:
    """What commands print, in one process that works in ``folder`` and imports from ``sites`` and ``root``."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    environment["PYTHONPATH"] = os.pathsep.join([*map(str, sites), str(root)])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(several)],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=3_600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outputs: list[str] = json.loads(done.stdout.splitlines()[-1])
    return outputs


def assert_printed(expected: str, output: str, words: list[str]) -> None:
    """The page's lines, in order; a line of three dots stands for any lines, three dots at an end for any rest."""
    pattern = "".join(
        r"(?:.*\n)*"
        if line == "..."
        else re.escape(line.removesuffix("...")) + (".*\n" if line.endswith("...") else "\n")
        for line in expected.rstrip("\n").split("\n")
    )
    shown = "".join(f"{line.rstrip()}\n" for line in output.rstrip("\n").split("\n"))
    assert re.fullmatch(pattern, shown), f"$ {' '.join(words)}\nthe guide says:\n{expected}\nit prints:\n{shown}"
