"""Digests of small training runs, one of each family, for refactors that must not change a number.

    python -m tools.digests before.json                      # on the old tree
    python -m tools.digests after.json --against before.json # on the new one; exit 1 where a digest differs

A digest covers the whole state in the last checkpoint (``composer digest``). It depends on torch, processor and
threads, so two trees are compared on one machine and no digest is committed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTROL = "environment.task=cartpole-swingup training.env_steps=800 training.log_every=200 evaluation.every=400 \
evaluation.episodes=2 algorithm.warmup_interactions=50 checkpoint.every=400"
PENDULUM = "seeds=[0,1] training.env_steps=400 training.log_every=100 evaluation.every=200 evaluation.episodes=2 \
algorithm.warmup_interactions=50 checkpoint.every=200"
CARTPOLE = "evaluation.every=1000 evaluation.episodes=2 checkpoint.every=1000"
ROLLOUTS = "evaluation.every=2048 evaluation.episodes=2 checkpoint.every=2048"
LABELS = "seeds=[0,1] checkpoint.every=700"
EAGER, COMPILED = "compute.compile=never", "compute.compile=always"

# Name: blueprint and the rest of the command line.
RUNS = {
    "sac": ("tests/tiny.toml", EAGER),
    "sac_compiled": ("tests/tiny.toml", f"training.env_steps=800 {COMPILED}"),
    "hare_and_tortoise": (
        "dmc/sac_hare_tortoise",
        f"{CONTROL} interventions.critic.interval=60 interventions.actor.interval=60 {EAGER}",
    ),
    "injection": (
        "dmc/sac_injection",
        f"{CONTROL} diagnostics.every=200 interventions.injection.when.steps=[300] {EAGER}",
    ),
    "injection_compiled": (
        "dmc/sac_injection",
        f"{CONTROL} diagnostics.every=200 interventions.injection.when.steps=[300] {COMPILED}",
    ),
    "bbf_cycle": (
        "dmc/sac_bbf_cycle",
        f"{CONTROL} interventions.encoders.interval=60 interventions.heads.interval=60 "
        f"interventions.encoders.spare_last=0 interventions.heads.spare_last=0 {EAGER}",
    ),
    "simba_v2": ("dmc/simba_v2", f"{CONTROL} training.env_steps=400 {EAGER}"),
    "td3": ("classic/pendulum_td3", f"{PENDULUM} {EAGER}"),
    "td3_compiled": ("classic/pendulum_td3", f"{PENDULUM} {COMPILED}"),
    "ddpg": ("classic/pendulum_ddpg", f"{PENDULUM} {EAGER}"),
    "ppo": ("classic/cartpole_ppo", f"training.env_steps=4096 {ROLLOUTS} {EAGER}"),
    "ppo_compiled": ("classic/cartpole_ppo", f"training.env_steps=2048 {ROLLOUTS} {COMPILED}"),
    "dqn": ("classic/cartpole_dqn", f"training.env_steps=2000 {CARTPOLE} {EAGER}"),
    "rainbow": ("classic/cartpole_dqn", f"--variant rainbow training.env_steps=1400 {CARTPOLE} {EAGER}"),
    "dqn_compiled": ("classic/cartpole_dqn", f"training.env_steps=1400 {CARTPOLE} {COMPILED}"),
    "supervised": ("plasticity/shuffled_labels", f"training.env_steps=1500 {LABELS} {EAGER}"),
    "supervised_compiled": ("plasticity/shuffled_labels", f"training.env_steps=1100 {LABELS} {COMPILED}"),
    **{
        variant: ("plasticity/shuffled_labels", f"--variant {variant} training.env_steps={steps} {LABELS} {EAGER}")
        for variant, steps in {
            "redo": 1500,
            "continual_backprop": 800,
            "upgd": 600,
            "sam": 600,
            "layer_norm_shrink": 1100,
            "layer_norm_l2_init": 600,
            "hare_and_tortoise_slow": 600,
        }.items()
    },
    "phases": ("warm_start/digits", f"seeds=[0] {EAGER}"),
    "pixels": (
        "atari/drq",
        "--variant small environment.game=freeway seeds=[0] training.env_steps=3200 algorithm.warmup_interactions=400 "
        f"replay.capacity=2000 evaluation.every=3200 evaluation.episodes=1 checkpoint.every=3200 {EAGER}",
    ),
}


def digest(name: str) -> str:
    """Train one run in a temporary folder; the digest of its last checkpoint."""
    blueprint, rest = RUNS[name]
    path = str(ROOT / blueprint) if blueprint.endswith(".toml") else blueprint
    with tempfile.TemporaryDirectory() as folder:
        run = _composer("train", path, *rest.split(), "tracking.kind=none", "--runs", folder)["run"]
        return str(_composer("digest", run)["digest"])


def _composer(*arguments: str) -> dict[str, str]:
    """The JSON object that a command of this tree prints."""
    command = [sys.executable, "-c", "from composer.cli import main; main()", *arguments, "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    table: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return table


def main() -> int:
    """Train the runs and write their digests; 1 where one differs from an earlier file's."""
    parser = argparse.ArgumentParser(prog="python -m tools.digests", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="where the digests are written, as JSON")
    parser.add_argument("--against", type=Path, help="an earlier file to compare with")
    parser.add_argument("--runs", default=",".join(RUNS), help="comma-separated names; all by default")
    given = parser.parse_args()
    before = json.loads(given.against.read_text()) if given.against else {}
    found: dict[str, str] = {}
    for name in given.runs.split(","):
        found[name] = digest(name)
        equal = {None: "", found[name]: "  equal"}.get(before.get(name), f"  DIFFERS from {before.get(name)}")
        print(f"{name:24} {found[name]}{equal}", flush=True)
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(before.get(name, value) != value for name, value in found.items()))


if __name__ == "__main__":
    sys.exit(main())
