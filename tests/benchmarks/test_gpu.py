"""The GPU suite on a CPU at toy size: every piece is run, and no time is judged."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import __main__, equivalence, hygiene, learning, tables
from benchmarks.gpu.agents import CASES, MLP, agent, distance, given, learn, weights
from benchmarks.gpu.interventions import INTERVENTIONS
from benchmarks.gpu.laps import Candidate, race
from benchmarks.gpu.pieces import FIRST, Check, Findings, Piece, Skipped, chosen, pieces
from benchmarks.gpu.published import Published, published
from benchmarks.gpu.runner import Mixed, read, run
from benchmarks.gpu.setting import EAGER, Setting
from composer.algorithms.base import Algorithm
from composer.interventions.base import Operation
from composer.training.runs.checkpoint import Checkpoints

ARGUMENTS = ("--device", "cpu", "--scale", "toy")
TASK = "hopper-hop"
CSV = """\
method,suite,env,step,metric,mean,std,n_seeds
sac_simba,dmc_em,hopper_hop,40,avg_return,12.5,2.5,10
sac_simba,dmc_em,hopper_hop,60,avg_return,20,,1
sac_simba,dmc_em,hopper_hop,500000,avg_return,300,9,10
sac,dmc_em,hopper_hop,60,avg_return,1,1,10
sac_simba,dmc_em,hopper_hop,60,success,1,1,10
sac_simba,dmc_em,walker_run,60,avg_return,5,1,10
"""


def toy(folder: Path, minutes: float = 8.0, **more: Any) -> Setting:
    return Setting("cpu", "toy", minutes, folder / "out", folder / "runs", more.pop("compiles", False), **more)


def quiet(said: str) -> None:
    pass


def piece(name: str, call: Any) -> Piece:
    return Piece(name, f"shows {name}", call)


@pytest.mark.slow
def test_all_pieces_at_toy_size_then_none_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone runs every piece of the GPU suite from start to page, and proves that finished pieces are not run again."""
    out = tmp_path / "out"
    arguments = [*ARGUMENTS, "--out", str(out), "--runs", str(tmp_path / "runs")]
    assert __main__.main(arguments) == 0, capsys.readouterr().err
    records = {name: read(out, name) for name in pieces()}
    assert all(record and record["state"] == "done" and record["rows"] for record in records.values())
    assert not list(out.glob(".tmp-*"))
    page = (out / "README.md").read_text()
    assert "Not measured yet" not in page and page.count("At toy scale") == len(records)
    first = {path.name: path.read_bytes() for path in out.glob("*.json")}
    capsys.readouterr()
    assert __main__.main(arguments) == 0
    assert capsys.readouterr().err.count("done before") == len(records)
    assert {path.name: path.read_bytes() for path in out.glob("*.json")} == first


def test_failures_are_told_and_hide_nothing(tmp_path: Path) -> None:
    def broken(setting: Setting) -> Findings:
        raise ZeroDivisionError("no\nmass")

    def lacking(setting: Setting) -> Findings:
        raise Skipped("needs dm_control")

    def partly(setting: Setting) -> Findings:
        findings = Findings(rows=[{"x": 1.0}])
        with findings.attempt("one"):
            raise ValueError("wrong")
        return findings

    def beyond(setting: Setting) -> Findings:
        return Findings([Check("a", float("nan"), 1.0), Check("b", 2.0, 1.0), Check("c", 1.0, 1.0)], [{"y": 3}])

    wanted = [piece(f.__name__, f) for f in (broken, lacking, partly, beyond)]
    fine = piece("fine", lambda setting: Findings(rows=[{"z": None}]))
    setting = toy(tmp_path)
    states = run([*wanted, fine], setting, quiet, isolated=False)
    expected = {"broken": "failed", "lacking": "skipped", "partly": "failed", "beyond": "failed", "fine": "done"}
    assert states == expected
    why = {name: read(setting.out, name)["why"] for name in states}  # type: ignore[index]
    assert why["broken"].startswith("ZeroDivisionError: no mass (in test_gpu.broken, line ")
    assert why["lacking"] == "needs dm_control" and why["partly"].startswith("one: ValueError: wrong")
    assert why["beyond"] == "beyond the limit: a, b"
    assert str(tmp_path) not in (setting.out / "broken.json").read_text()
    page = tables.text({each: read(setting.out, each.name) for each in [*wanted, fine, piece("missing", None)]})
    assert "**Failed**: beyond the limit: a, b." in page and "| a | — | 1 | no |" in page
    assert "Skipped: needs dm_control." in page and "| — |" in page
    assert page.count("Not measured yet.") == 1 and "## missing" in page
    assert __main__._end(states) == 1 and __main__._end({"a": "unfinished", "b": "done"}) == 3
    # What failed is run again, what is done is not.
    mended = [piece("broken", lambda setting: Findings()), piece("fine", broken)]
    assert run(mended, setting, quiet, isolated=False) == {"broken": "done", "fine": "done"}
    assert run(mended[1:], setting, quiet, again=True, isolated=False) == {"fine": "failed"}


def test_every_algorithm_and_every_operation_is_in_the_suite(tmp_path: Path) -> None:
    """Fails for a new kind: add a case to ``benchmarks/gpu/agents.py`` or ``benchmarks/gpu/interventions.py``."""
    setting = toy(tmp_path)

    def ours(family: type[Algorithm | Operation]) -> set[str]:
        """Kinds of composer itself: other tests register some of their own."""
        return {kind for kind, made in family.kinds().items() if made.__module__.startswith("composer.")}

    assert {case.load(setting).algorithm.kind for case in CASES} == ours(Algorithm)
    operations = {each.do.kind for case in INTERVENTIONS for each in case.load(setting).interventions.values()}
    assert operations == ours(Operation) - {"nothing"}


def test_what_matters_most_comes_first_within_a_given_time(tmp_path: Path) -> None:
    names = [*pieces()]
    assert names[: len(FIRST)] == [*FIRST] and len(names) == len({*names})
    kinds = [name.partition("-")[0] for name in FIRST]
    assert kinds == ["capturing", "speed", "speed", "seeds", "learning"]
    assert sum(minutes for minutes in FIRST.values() if minutes < float("inf")) < 14
    given: list[float] = []

    def noted(setting: Setting) -> Findings:
        given.append(setting.minutes)
        return Findings()

    said: list[str] = []
    wanted = [piece("speed-mlp", noted), piece("other", noted)]
    assert run(wanted, toy(tmp_path), said.append, isolated=False, total=5.0) == {"speed-mlp": "done", "other": "done"}
    assert given[0] == FIRST["speed-mlp"] and 4.0 < given[1] <= 5.0
    assert run([piece("late", noted)], toy(tmp_path), said.append, isolated=False, total=0.5) == {}
    assert said[-1] == "late: no time is left"


def test_results_of_another_scale_are_not_written_over(tmp_path: Path) -> None:
    setting = toy(tmp_path)
    wanted = [piece("new", lambda setting: Findings()), piece("old", lambda setting: Findings())]
    run(wanted[1:], setting, quiet, isolated=False)
    other = Setting("cpu", "full", 8, setting.out, setting.runs, False)
    with pytest.raises(Mixed, match=r"holds old at scale toy on cpu, and this is scale full on cpu; .*--out"):
        run(wanted, other, quiet, again=True, isolated=False)
    assert read(setting.out, "new") is None


def test_an_interrupted_curve_goes_on(tmp_path: Path) -> None:
    (tmp_path / "published.csv").write_text(CSV)
    hurried = toy(tmp_path, minutes=1e-9, published=tmp_path / "published.csv")
    wanted = chosen([f"learning-{TASK}"])
    name = wanted[0].name
    assert run(wanted, hurried, quiet, isolated=False) == {name: "unfinished"}
    record = read(hurried.out, name)
    assert record is not None and "no evaluation yet" in record["notes"] and not record["rows"]
    (folder,) = (hurried.runs / f"{TASK}-toy").iterdir()
    assert Checkpoints(folder).steps() == [4]  # A signal is obeyed one decision later.
    assert "Unfinished: goes on when it is called again." in tables.text({wanted[0]: record})
    patient = toy(tmp_path, published=tmp_path / "published.csv")
    assert run(wanted, patient, quiet, isolated=False) == {name: "done"}
    assert list((hurried.runs / f"{TASK}-toy").iterdir()) == [folder] and Checkpoints(folder).steps()[-1] == 60
    record = read(hurried.out, name)
    assert record is not None and record["curve"]["env_steps"] == [60]
    early, last = record["rows"]
    assert (early["environment steps"], early["seeds"], early["mean return"], early["published mean"]) == (
        40,
        0,
        None,
        12.5,
    )
    assert (last["environment steps"], last["seeds"], last["published mean"], last["published std"]) == (
        60,
        2,
        20,
        None,
    )
    assert last["mean return"] == pytest.approx(sum(row[0] for row in record["curve"]["returns"]) / 2)


def test_published_results(tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    file.write_text(CSV)
    assert published(file, "sac_simba", "walker-run") == {60: Published(5.0, 1.0, 10)}
    file.write_text("method,env\n")
    with pytest.raises(ValueError, match=r"published.csv: no column 'step', 'metric'"):
        published(file, "sac_simba", TASK)
    folder = Path(learning.__file__).parent
    assert not any("published_results" in path.read_text() for path in folder.glob("*.py"))


def test_distance_sees_a_wrong_number_and_no_rounding(tmp_path: Path) -> None:
    setting = toy(tmp_path)
    blueprint = MLP.load(setting)
    rate = "optimizers.critic.learning_rate=3.3e-4"
    exact, rounded, wrong = (agent(each, "cpu", EAGER) for each in (blueprint, blueprint, MLP.load(setting, 2, rate)))
    batches, start = given(exact, 4), weights(exact)
    for one in (exact, rounded, wrong):
        assert list(learn(one, batches)) == [1, 2, 3, 4]
    assert distance(start, weights(rounded), weights(exact)) == 0.0
    with torch.no_grad():
        rounded.learner.networks["critic"].parameters["head.linear.weight"].mul_(1 + 1e-6)
    assert 0 < distance(start, weights(rounded), weights(exact)) < 0.02
    assert distance(start, weights(wrong), weights(exact)) > 0.02
    ends = weights(exact)
    assert distance(ends, weights(rounded), ends) == float("inf")
    assert not Check("nan", distance(start, {}, ends), 1.0).passed


def test_waits_are_counted() -> None:
    counter = hygiene.Waits()
    with counter:
        torch.ones(2).sum().item()
        torch.ones(2).nonzero()
        torch.ones(2) + torch.ones(())
    assert counter.names == ["aten._local_scalar_dense.default", "aten.nonzero.default"]
    crossed = partial(hygiene._crosses, torch.ones(2, device="meta"))
    assert crossed(torch.ones(2)) and not crossed(torch.ones(2, device="meta")) and not crossed(3)


def test_a_race_takes_turns_and_drops_the_first_round(tmp_path: Path) -> None:
    turns: list[str] = []
    ticks = iter([0.0, 99.0, 0.0, 99.0, 0.0, 2.0, 0.0, 5.0, 0.0, 1.0, 0.0, 10.0])
    laps = race(
        [Candidate("a", lambda: turns.append("a")), Candidate("b", lambda: turns.append("b"))],
        toy(tmp_path),
        lambda: next(ticks),
    )
    assert "".join(turns) == ("a" * 10 + "b" * 10) * 3
    assert laps["a"] == (7.5, 5.0, 10.0) and laps["b"] == (1.5, 1.0, 2.0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--list", "--pieces", "memory,speed-dqn"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["memory", "speed-dqn"]
    out = tmp_path / "out"
    assert __main__.main(["--tables", "--out", str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ["README.md"]
    assert (out / "README.md").read_text().count("Not measured yet.") == len(pieces())
    for arguments, said in (
        (["--pieces", "memry"], "no piece named 'memry'; did you mean 'memory'?"),
        ([*ARGUMENTS, "--published", "nowhere.csv"], "no such file: nowhere.csv"),
        ([*ARGUMENTS, "--minutes", "0"], "--minutes and --total must be more than 0"),
    ):
        with pytest.raises(SystemExit) as stopped:
            __main__.main(arguments)
        assert stopped.value.code == 2 and said in capsys.readouterr().err


def test_the_committed_page_knows_every_piece() -> None:
    folder = Path(__file__).parents[2] / "docs" / "benchmarks" / "gpu"
    known = list(pieces().values())
    assert (folder / "README.md").read_text() == tables.text({each: read(folder, each.name) for each in known})
    assert all(json.loads(path.read_text())["scale"] == "full" for path in folder.glob("*.json"))


@pytest.mark.slow
def test_pieces_in_processes_of_their_own(tmp_path: Path) -> None:
    """Alone proves that a piece that hangs or dies in its process is reported and the next one runs."""
    wanted = chosen(["seeds-mlp"])
    hurried, patient = toy(tmp_path, minutes=0.001), toy(tmp_path, minutes=5)
    assert run(wanted, hurried, quiet) == {"seeds-mlp": "failed"}
    assert read(hurried.out, "seeds-mlp")["why"] == "took longer than 0.001 minutes"  # type: ignore[index]
    assert run(wanted, patient, quiet) == {"seeds-mlp": "done"}
    dying = piece("no such piece", None)
    assert run([dying], patient, quiet) == {"no such piece": "failed"}
    assert read(patient.out, dying.name)["why"] == "its process ended with 1"  # type: ignore[index]


@pytest.mark.slow
def test_compiled_updates_beside_eager_ones(tmp_path: Path) -> None:
    """Alone compiles inside the GPU suite: compiled updates differ from eager ones, and by little."""
    setting = toy(tmp_path, compiles=True)
    mlp = piece("mlp", partial(equivalence.capturing, (MLP,)))
    assert run([mlp], setting, quiet, isolated=False) == {"mlp": "done"}
    record = read(setting.out, "mlp")
    assert record is not None and 0 < record["rows"][0]["difference"] < 1e-3
    assert record["notes"] == ["captured is compiled; a CPU has no graphs"]
