"""Reading commands into a pipe that nobody reads: they end as other tools do, without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ALONE, TINY

COMMANDS = f"""
list
kinds
kinds residual
new sac walker-walk
resolve {TINY}
show {TINY}
show {TINY} --paths
metrics {TINY}
diff {TINY} quickstart
lint {TINY}
parts simba
eject {TINY}
schema
study check STUDY
"""
RUN = """
import os, sys
from composer.blueprint import load
from composer.cli import main
for line in sys.argv[1].split("\\n"):
    reading, writing = os.pipe()
    os.close(reading)
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        sys.argv = ["composer", *line.split()]
        main()
    os.close(writing)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), line, flush=True)
"""
"""Each command in a process of its own, which begins as a copy of one that has imported what all need."""
OTHER_PIPE = """
import os
from composer.cli import app, main
reading, writing = os.pipe()
os.close(reading)
@app.command()
def write() -> None:
    os.write(writing, b"x")
import sys
sys.argv = ["composer", "write"]
main()
"""


def ends(lines: list[str]) -> None:
    """Assert that each command ends with 141 and says nothing."""
    environment = {name: value for name, value in ALONE.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, "-c", RUN, "\n".join(lines)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"141 {line}" for line in lines]


def test_help_and_reading_commands_end_with_141_and_say_nothing() -> None:
    ends(["--help", "--version", "train --help", f"explain {TINY} training"])


@pytest.mark.slow
def test_every_reading_command_ends_with_141_and_says_nothing(tmp_path: Path) -> None:
    """Alone runs all of them, which read many blueprints."""
    study = tmp_path / "study.toml"
    study.write_text('study = 1\nname = "study"\nblueprint = "quickstart"\nseeds = 1\n[axis]\nvariant = ["base"]\n')
    ends(COMMANDS.strip().replace("STUDY", str(study)).splitlines())


def test_another_pipe_that_breaks_is_a_bug() -> None:
    done = subprocess.run([sys.executable, "-c", OTHER_PIPE], capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == 1 and done.stderr.endswith("BrokenPipeError: [Errno 32] Broken pipe\n")
