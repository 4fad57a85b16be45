"""The same run by every launcher has the same digest; on a Ray cluster, of which a node dies under it, too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ALONE

PROGRAM = """
import json, os, sys
from pathlib import Path

import psutil

from composer.cli.answers import kept_for_the_answer
from composer.studies.execution.engine import train_all
from composer.studies.execution.launchers import launching
from composer.studies.execution.ledger import read_account
from composer.studies.study.points import Point, study_run

folder, tiny = Path(sys.argv[1]), sys.argv[2]
run = study_run(Point(tiny, {}, ("training.env_steps=1200", "evaluation.every=1200", "checkpoint.every=80")), (0,))


def listening():
    every = psutil.Process().children(recursive=True)
    return {each.laddr.ip for child in every for each in child.net_connections("tcp") if each.status == "LISTEN"}


def trained(name, around=lambda launcher: None, **options):
    place = folder / name
    with launching(place / "study", 1, **options) as launcher:
        around(launcher)
        (outcome,) = train_all([run], place / "study", place / "runs", lambda line: None, launcher=launcher)
    starts = read_account(place / "study").of(run.key).starts
    return [outcome.status, outcome.digest, starts, len([*(place / "runs").glob("*/run.json")])]


def dying(launcher):
    wait, nodes = launcher.wait, [node]

    def until_it_has_saved(seconds):
        if nodes and [*(folder / "dying" / "runs").glob("*/checkpoints/*/manifest.json")]:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")
        wait(seconds)

    launcher.wait = until_it_has_saved


heard = []
with kept_for_the_answer():
    found = {"local": trained("local"), "slurm": trained("slurm", slurm="local")}
    found["ray"] = trained("ray", lambda launcher: heard.extend(listening()), ray="local")

    from ray.cluster_utils import Cluster

    loopback = {"include_dashboard": False, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **loopback})
    node = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")
    found["dying"] = trained("dying", dying, ray=cluster.address)
    cluster.shutdown()
print(json.dumps({"heard": sorted(set(heard)), **found}))
"""


PATIENT = {"RAY_raylet_start_wait_time_s": "300"}
"""On a busy machine a raylet takes its time."""


@pytest.mark.slow
def test_every_launcher_gives_the_same_digest_and_a_node_that_dies_costs_nothing(tmp_path: Path) -> None:
    """Starts two real Ray clusters, the second of three raylets, and trains a run by each launcher."""
    tiny = Path(__file__).parents[2] / "tiny.toml"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(tiny)]
    done = subprocess.run(command, capture_output=True, text=True, env={**ALONE, **PATIENT}, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "Ray and submitit print nothing on standard output"
    found = json.loads(done.stdout)
    assert {ip.removeprefix("::ffff:") for ip in found.pop("heard")} == {"127.0.0.1"}
    assert {name: (status, directories) for name, (status, _, _, directories) in found.items()} == dict.fromkeys(
        ("local", "slurm", "ray", "dying"), ("finished", 1)
    )
    assert len({digest for _, digest, _, _ in found.values()}) == 1 and found["local"][1]
    assert found["dying"][2] > 1, "the work that was lost is started again"
    assert {found[name][2] for name in ("local", "slurm", "ray")} == {1}
