"""Train a study undisturbed, and again while its processes are killed at random; the results must be the same.

    python -m tools.kill_study --work /tmp/killed --jobs 2 --seed 0 --within 60

The study has 3 x 3 x 2 axes and 3 seeds. Killed by SIGKILL, at times and in an order that ``--seed`` draws: the driver,
one worker, all workers, or everything at once. The same command is repeated until it ends by itself. Then ledgers (ends
and digests), journals (every byte) and the files of the report must equal those of the undisturbed study, with one run
directory for each run. Prints a table of JSON; exits with 1 where something differs.
Tests: tests/studies/execution/test_killed.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from composer.studies.execution.ledger import LEDGER, read_account
from composer.tracking.journal import read

ROOT = Path(__file__).parent.parent
COMPOSER = (sys.executable, "-c", "from composer.cli import main; main()")
OWN = (LEDGER, "lock", "answers", "logs")
"""What a study's folder holds beside its report."""
VICTIMS = ("driver", "worker", "workers", "everything")
STUDY = """study = 1
name = "killed"
blueprint = "{blueprint}"
seeds = {seeds}

[axis]
width = {widths}
ratio = {ratios}
resets = {resets}

[set]
"networks.actor.trunk.width" = "${{axis.width}}"
"networks.critic.trunk.width" = "${{axis.width}}"
"algorithm.update_to_data" = "${{axis.ratio}}"
"training.env_steps" = {steps}
"training.log_every" = {fifth}
"evaluation.every" = {fifth}
"checkpoint.every" = {fifth}

[when.resets.set]
"interventions.reset" = {{ use = "full_reset", interval = {fifth} }}
"""


def write_study(
    folder: Path,
    steps: int,
    widths: Sequence[int] = (8, 12, 16),
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    resets: Sequence[bool] = (False, True),
    seeds: int = 3,
) -> Path:
    """Write the study of ``steps`` environment steps per run; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "killed.toml"
    numbers = {"widths": list(widths), "ratios": list(ratios), "resets": json.dumps(list(resets)), "seeds": seeds}
    blueprint = ROOT / "tests" / "tiny.toml"
    file.write_text(STUDY.format(blueprint=blueprint, steps=steps, fifth=steps // 40 * 8, **numbers))
    return file


def command(file: Path, jobs: int) -> list[str]:
    """The command that trains the study of ``file`` in its folder."""
    return [*COMPOSER, "study", "run", str(file), "--jobs", str(jobs), "--runs", str(file.parent / "runs"), "--json"]


def start(file: Path, jobs: int) -> subprocess.Popen[str]:
    """Start a driver in a session of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (file.parent / "said.txt").open("a") as said:
        return subprocess.Popen(
            command(file, jobs), stdout=subprocess.PIPE, stderr=said, text=True, env=environment, start_new_session=True
        )


def workers_of(driver: int) -> list[int]:
    """The processes that a driver has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == driver:
                found.append(int(path.parent.name))
    return sorted(found)


def kill(driver: int, victim: str, choose: random.Random) -> int:
    """Kill by SIGKILL; returns the number of processes killed."""
    workers = workers_of(driver)
    if victim == "worker":
        workers = [choose.choice(workers)] if workers else []
    doomed = {"driver": [driver], "everything": [driver, *workers]}.get(victim, workers)
    for number in (signal.SIGSTOP, signal.SIGKILL):  # All stand still first, as when a machine loses its power.
        for process in doomed:
            with suppress(ProcessLookupError):
                os.kill(process, number)
    return len(doomed)


def disturbed(
    file: Path, jobs: int, choose: random.Random, wait: Callable[[subprocess.Popen[str]], bool]
) -> Counter[str]:
    """Repeat the study's command until it ends with 0; counts of kills and of starts.

    ``wait`` returns whether a process is still there to be killed, when it is time.
    """
    counts: Counter[str] = Counter()
    while True:
        counts["starts of the driver"] += 1
        process = start(file, jobs)
        while wait(process):
            victim = choose.choice(VICTIMS)
            counts[f"kills: {victim}"] += 1
            counts["processes killed"] += kill(process.pid, victim, choose)
        process.communicate()
        if process.returncode == 0:
            return counts
        if process.returncode not in (1, -signal.SIGKILL):
            raise SystemExit(f"the driver ended with {process.returncode}; see {file.parent / 'said.txt'}")


def results(folder: Path) -> dict[str, Any]:
    """What a study has left: how each run ended, its digest and journal, by name; and the files of its report."""
    study = folder / "studies" / "killed"
    directories: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("runs/*/run.json")):
        label = json.loads(path.read_text())["study"]["label"]
        directories.setdefault(label, []).append(path.parent)
    ends = {
        key: (entry.ended["type"], entry.ended.get("digest"))
        for key, entry in read_account(study).entries.items()
        if entry.ended
    }
    names = {path.name: label for label, paths in directories.items() for path in paths}
    files = [
        path for path in sorted(study.rglob("*")) if path.is_file() and path.relative_to(study).parts[0] not in OWN
    ]
    return {
        "ends": ends,
        "journals": {label: paths[-1].joinpath("journal.jsonl").read_bytes() for label, paths in directories.items()},
        "directories": {label: len(paths) for label, paths in directories.items()},
        "report": {
            str(path.relative_to(study)): _without(path.read_bytes().decode("latin-1"), folder, names) for path in files
        },
    }


def _without(text: str, folder: Path, names: Mapping[str, str]) -> str:
    """A report without the names of directories, which hold the time."""
    for name, label in names.items():
        text = text.replace(name, label)
    return text.replace(str(folder), "")


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """What differs between the results of two studies."""
    found = [key for key in ("ends", "journals", "report", "directories") if left[key] != right[key]]
    return [*found, *(f"{name} was trained twice" for name, count in right["directories"].items() if count != 1)]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder for both studies")
    parser.add_argument("--steps", type=int, default=1_200, help="environment steps per run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="draws when and whom to kill")
    parser.add_argument("--within", type=float, default=60.0, help="a kill comes after 0 to this many seconds")
    options = parser.parse_args()
    calm, stormy = (write_study(options.work / each, options.steps) for each in ("undisturbed", "killed"))
    began = time.monotonic()
    process = start(calm, options.jobs)
    process.communicate()
    if process.returncode:
        raise SystemExit(f"the undisturbed study ended with {process.returncode}; see {calm.parent / 'said.txt'}")
    middle, choose = time.monotonic(), random.Random(options.seed)

    def wait(process: subprocess.Popen[str]) -> bool:
        with suppress(subprocess.TimeoutExpired):
            process.wait(choose.uniform(0, options.within))
        return process.poll() is None

    counts = disturbed(stormy, options.jobs, choose, wait)
    left, right = results(calm.parent), results(stormy.parent)
    rows = list(read(stormy.parent / "studies" / "killed" / LEDGER))
    table = {
        "runs": len(left["ends"]),
        "seconds undisturbed": round(middle - began),
        "seconds killed": round(time.monotonic() - middle),
        **dict(sorted(counts.items())),
        "ledger": dict(Counter(row["type"] for row in rows)),
        "differences": differences(left, right),
    }
    print(json.dumps(table, indent=1))
    raise SystemExit(1 if table["differences"] else 0)


if __name__ == "__main__":
    main()
