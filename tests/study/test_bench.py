"""``composer bench`` at toy sizes: every path is run, no time is judged."""

import json
import os
from pathlib import Path

import pytest
import torch

from composer.compiling import Choice
from composer.study.bench.command import bench
from composer.study.bench.entries import FLOOR, PEERS, Entry, Ours, Subject
from composer.study.bench.machine import ForeignLoad
from composer.study.bench.products import Product, record
from composer.study.bench.race import Repeat, Row
from composer.study.bench.report import NotTheSameNetwork, Summary, assert_same_network, ratio, text
from composer.study.bench.worker import BenchFailed, Lap, Ready, Worker, measure
from composer.study.bench.workloads import WORKLOADS, Workload

SMALL = ("algorithm.batch_size=8", "algorithm.warmup_interactions=10")
MLP = Workload(
    "mlp", "toy MLP", "dmc/sac_mlp", (8, 8), rows=600,
    overrides=(*SMALL, "networks.actor.trunk.width=8", "networks.critic.trunk.width=8"),
)  # fmt: skip
SIMBA = Workload(
    "simba", "toy SimBa", "dmc/sac_simba", None, rows=600,
    overrides=(*SMALL, "networks.actor.trunk.width=8", "networks.critic.trunk.width=12"),
)  # fmt: skip


class Broken(Entry):
    name = "broken"

    def build(self, workload: Workload) -> Subject:
        raise RuntimeError("no such thing")


class Dying(Entry):
    name = "dying"

    def build(self, workload: Workload) -> Subject:
        raise SystemExit(9)


class Twice(Entry):
    """Says that it compiles, and leaves a file in the cache as compiled code would."""

    name = "twice"
    compiles = True

    def build(self, workload: Workload) -> Subject:
        mark = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) / "compiled"
        subject = Ours(2 if mark.exists() else 1, compiles=False).build(workload)
        mark.touch()
        return subject


class Absent(Entry):
    name = "absent"

    def absent(self) -> str | None:
        return "not installed"

    def build(self, workload: Workload) -> Subject:
        raise AssertionError("an absent entry is not built")


@pytest.mark.slow
def test_whole_benchmark_with_processes_and_failures(tmp_path: Path) -> None:
    said: list[str] = []
    result = bench(0.01, 2, said.append, tmp_path / "bench.json", [MLP], [Twice(), Ours(3, False), Broken(), Absent()])
    (workload,) = result["workloads"]
    rows = {row["name"]: row for row in workload["rows"]}
    assert rows["broken"]["error"] == "RuntimeError: no such thing" and not rows["broken"]["skipped"]
    assert rows["absent"]["error"] == "not installed" and rows["absent"]["skipped"]
    assert [name for name, row in rows.items() if row["error"]] == ["broken", "absent"], rows
    compiled, stacked = rows["twice"], rows["composer, eager, 3 seeds"]
    # What a first process compiled, the timed one finds on disk.
    assert compiled["cold_start_seconds"] > 0 and compiled["agents"] == 2
    assert stacked["cold_start_seconds"] is None
    assert stacked["agents"] == 3 and len(stacked["repeats"]) == 2
    assert all(repeat["agent_updates"] % 3 == 0 for repeat in stacked["repeats"])
    assert rows[FLOOR.name]["gflop_per_agent_update"] == stacked["gflop_per_agent_update"] > 0
    assert stacked["share_of_floor"]["low"] > 0 and rows[FLOOR.name]["share_of_floor"] is None
    assert set(stacked["times_as_fast_as"]) == {"stable-baselines3"}
    shown = text(result)
    for expected in ("failed: RuntimeError: no such thing", "skipped: not installed", "toy MLP", "torch"):
        assert expected in shown
    assert any("round 2 of 2" in line for line in said)
    assert json.loads((tmp_path / "bench.json").read_text()) == json.loads(json.dumps(result))


def test_result_that_cannot_be_written_stops_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bench(1.0, 1, lambda line: pytest.fail(line), tmp_path / "missing" / "bench.json")


def test_process_that_dies_is_reported(tmp_path: Path) -> None:
    worker = Worker(Dying(), MLP, str(tmp_path))
    with pytest.raises(BenchFailed, match="died with exit code 9"):
        worker.ready()
    worker.close()


@pytest.mark.parametrize("workload", [MLP, SIMBA], ids=["mlp", "simba"])
def test_parties_learn_the_same_network(workload: Workload) -> None:
    pytest.importorskip("stable_baselines3")
    ours = [Ours(seeds, compiles=False).build(workload) for seeds in (1, 3)]
    (theirs,) = (peer.build(workload) for peer in PEERS)
    assert ours[0].parameters() == ours[1].parameters() == theirs.parameters()
    blueprint = workload.load()
    info = blueprint.environment.describe()
    for role, shape in blueprint.algorithm.network_inputs(info).items():
        network = blueprint.networks[role]
        assert theirs.parameters()[role] == network.outline(shape, info.action_size).count() * network.copies
    for subject in (*ours, theirs):
        lap = measure(subject, 0.0)
        assert lap.updates == subject.agents and lap.seconds > 0


def test_peer_computes_more_only_by_the_gradient_it_wastes() -> None:
    """It also differentiates the loss of the actor by the weights of the critics."""
    pytest.importorskip("stable_baselines3")
    batch, hidden, inputs, critics = 8, 8, 24 + 6, 2
    wasted = critics * 2 * batch * (inputs * hidden + hidden * hidden + hidden)
    (peer,) = PEERS
    assert peer.build(MLP).flops() - Ours(1, compiles=False).build(MLP).flops() == wasted


def test_compiled_party_runs_the_compiled_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not compiled here, which takes long: what the learner was asked for is looked at."""
    asked: list[Choice] = []
    monkeypatch.setattr("composer.learner.capture", lambda function, choice, *rest: asked.append(choice) or function)
    for compiles in (True, False):
        Ours(1, compiles).build(MLP)
    assert [choice.compiled for choice in asked] == [True, False]


def test_three_seeds_compute_three_times_as_much() -> None:
    one, three = (Ours(seeds, compiles=False).build(SIMBA) for seeds in (1, 3))
    assert three.flops() == 3 * one.flops() == 3 * FLOOR.build(SIMBA).flops()


def test_products_are_recorded_with_shapes_and_layouts() -> None:
    left, right, stack = torch.randn(4, 3), torch.randn(5, 3), torch.randn(2, 3, 5)
    products = record(lambda: torch.bmm((left @ right.T).expand(2, 4, 5), stack.transpose(1, 2)))
    assert products == [Product((4, 3), (3, 5), False, True), Product((2, 4, 5), (2, 5, 3), False, True)]
    assert [product.flops for product in products] == [2 * 4 * 3 * 5, 2 * 2 * 4 * 5 * 3]


def test_operations_that_the_floor_would_miss_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="torch counts"):
        record(lambda: torch.nn.functional.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2)))


def test_ratios_are_taken_within_rounds() -> None:
    """The machine halves its speed in the second round: the ratio does not notice."""
    ours, theirs = (Row(name, repeats=[_repeat(rate), _repeat(rate / 2)]) for name, rate in (("a", 30.0), ("b", 10.0)))
    assert ratio(ours, theirs) == Summary(3.0, 3.0, 3.0)
    assert ratio(ours, Row("c", error="failed")) is None


def test_unequal_networks_are_refused() -> None:
    rows = [Row(str(n), ready=Ready(1.0, 1, {"actor": n}, 1)) for n in (5, 6)]
    with pytest.raises(NotTheSameNetwork, match=r"5 has parameters \{'actor': 5\}, 6 has \{'actor': 6\}"):
        assert_same_network(rows)


def test_repeats_that_others_disturb_are_marked() -> None:
    assert _repeat(1.0, foreign=0.21).disturbed and not _repeat(1.0, foreign=0.19).disturbed


def test_own_work_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 s of a busy machine, 2 s are the worker's: 1 s in 2 s is half a core of others."""
    now = iter([(100.0, 50.0, 7.0), (102.0, 53.0, 9.0)])
    monkeypatch.setattr(ForeignLoad, "_now", lambda self: next(now))
    assert ForeignLoad(os.getpid()).cores() == 0.5


def test_shipped_workloads_are_the_published_sizes() -> None:
    from composer.assemble import parameter_table

    counts = []
    for workload in WORKLOADS:
        blueprint = workload.load()
        table = parameter_table(blueprint, blueprint.environment.describe())
        counts.append({role: entry["count"] for role, entry in table.items()})
    assert counts == [{"actor": 75_276, "critic": 147_970}, {"actor": 136_972, "critic": 4_218_881}]


def _repeat(rate: float, foreign: float = 0.0) -> Repeat:
    return Repeat(Lap(int(rate * 10), 10.0), foreign)
