"""The command line in processes that see a plug-in; one of them dies after its first checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from wheels import environment

COMMAND = "from composer.cli import main; main()"
KILLED_AFTER_ITS_FIRST_CHECKPOINT = f"""
import os, signal
from composer.training.runs.checkpoint import Checkpoints
save = Checkpoints.save
Checkpoints.save = lambda *state: (save(*state), os.kill(os.getpid(), signal.SIGKILL))
{COMMAND}
"""


def run(program: str, *arguments: object, site: Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process that sees the plug-in."""
    line = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(line, env=environment(site), capture_output=True, text=True, timeout=3_600)


def answer(*arguments: object, site: Path) -> dict[str, Any]:
    """A command's answer as a table."""
    done = run(COMMAND, *arguments, "--json", site=site)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))
