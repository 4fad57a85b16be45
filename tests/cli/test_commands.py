"""The command line's contract with programs: one JSON object, last, on standard output; quick where nothing learns."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ALONE, COMMAND, DRIFT, TINY, begin, last_json, stopped
from typer.testing import CliRunner

from composer.cli import app
from composer.spec.version import __version__
from composer.tracking.console import Console
from composer.training.waiting_threads import how_threads_wait

RESULT = {
    *("run", "run_id", "warnings", "mlflow_run_id", "status", "env_steps", "updates"),
    *("metric", "final_return", "returns", "seconds", "updates_per_second", "never_fired"),
}
SHORT = ("training.env_steps=100", "evaluation.every=100", "checkpoint.every=50")


def invoke(*arguments: str, code: int = 0) -> tuple[str, str]:
    """Run a command in this process: standard output, standard error."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result.stdout, result.stderr


def check_result(answer: dict[str, object], runs: Path, seeds: list[str]) -> None:
    (run,) = runs.iterdir()
    assert set(answer) == RESULT
    assert answer["run"] == str(run)
    assert answer["run_id"] == run.name == json.loads((run / "run.json").read_text())["run_id"]
    assert answer["mlflow_run_id"] is None
    assert (answer["status"], answer["env_steps"]) == ("finished", 100)
    returns = answer["returns"]
    assert isinstance(returns, dict)
    assert list(returns) == seeds
    assert answer["final_return"] == pytest.approx(sum(returns.values()) / len(seeds))
    assert all(math.isfinite(value) for value in returns.values())


def test_train_resume_and_digest_answer_in_json(tmp_path: Path) -> None:
    where = ("--runs", str(tmp_path / "runs"), "--json")
    output, said = invoke("train", str(TINY), DRIFT, *SHORT, "--seeds", "3,1", *where)
    assert len(output.splitlines()) == 1  # Nothing but the object: all else is for people.
    trained = last_json(output)
    check_result(trained, tmp_path / "runs", ["3", "1"])
    assert trained["updates"] == 50
    assert trained["seconds"] > 0 and trained["updates_per_second"] > 0
    run = trained["run"]
    assert f"run {run}" in said
    output, _ = invoke("resume", run, "--json")
    resumed = last_json(output)
    check_result(resumed, tmp_path / "runs", ["3", "1"])
    assert {key: resumed[key] for key in ("returns", "updates")} == {
        key: trained[key] for key in ("returns", "updates")
    }
    plain, _ = invoke("digest", run)
    output, _ = invoke("digest", run, "--json")
    answer = last_json(output)
    assert plain.splitlines()[-1] == answer["digest"]
    assert len(answer["digest"]) == 64
    assert answer["checkpoint"] == f"{run}/checkpoints/step-000000000100"
    output, _ = invoke("evaluate", run, "--episodes", "3", "--json")
    played = last_json(output)
    assert [len(row) for row in played["episodes"]] == [3, 3]
    assert (played["env_steps"], played["video"]) == (100, None)
    assert list(played["returns"]) == ["3", "1"]


def test_a_run_takes_ranges_of_seeds_a_name_and_tags_and_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    where = ("--runs", str(tmp_path / "runs"), "--json")
    output, said = invoke("train", str(TINY), DRIFT, *SHORT, "--dry-run", *where)
    assert (last_json(output)["status"], last_json(output)["exit_code"]) == ("dry run", 0)
    assert "making one update: done in" in said and not (tmp_path / "runs").exists()
    options = ("--seeds", "1,3-4", "--name", "mine", "--tag", "why=see")
    output, said = invoke("train", str(TINY), DRIFT, *SHORT, *options, *where)
    answer = last_json(output)
    assert [*answer["returns"]] == ["1", "3", "4"] and answer["metric"] == "evaluation/return"
    assert said.startswith(f"reading {TINY}\n") and "seeds 1, 3, 4" in said.splitlines()[1]
    assert answer["run_id"].startswith("mine-2")
    assert json.loads((Path(answer["run"]) / "run.json").read_text())["tags"] == {"why": "see"}
    for wrong, message in (("--seeds=3-1", "the range 3-1 is empty"), ("--tag=seed=3", "composer sets this tag")):
        assert message in last_json(invoke("train", str(TINY), DRIFT, wrong, *where, code=2)[0])["message"]


def test_without_json_standard_output_stays_empty(tmp_path: Path) -> None:
    output, said = invoke("train", str(TINY), DRIFT, *SHORT, "--runs", str(tmp_path / "runs"))
    assert output == ""
    (run,) = (tmp_path / "runs").iterdir()
    assert f"everything of the run is in {run}" in said
    assert "sending" not in said  # Tracking is off.


def test_the_folder_of_a_run_tells_what_it_was(tmp_path: Path) -> None:
    invoke("train", str(TINY), DRIFT, *SHORT, "--runs", str(tmp_path / "runs"))
    (run,) = (tmp_path / "runs").iterdir()
    facts = json.loads((run / "run.json").read_text())
    assert (facts["name"], facts["algorithm"], facts["seeds"], facts["compiled"]) == ("tiny", "sac", [0], False)
    assert set(facts["fingerprint"]) >= {"composer", "python", "torch", "numpy", "drift", "cpu_capability", "threads"}
    assert len(facts["hash"]) == 64 and facts["waiting_threads"] == how_threads_wait()
    table = json.loads((run / "parameters.json").read_text())
    assert (table["critic"]["copies"], table["actor"]["copies"]) == (2, 1)
    assert table["critic"]["parameters"]["head.linear.weight"]["shape"] == [1, 16]
    output, _ = invoke("check", str(run / "blueprint.toml"), "--json")
    assert last_json(output)["problems"] == []
    # What differs from the file is the override, and every default is written out.
    output, _ = invoke("diff", str(TINY), str(run / "blueprint.toml"), "--json")
    assert "environment" in output


def test_an_interrupted_run_says_so_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ctrl_c(self: Console, env_step: int, updates: int) -> None:
        if env_step == 60:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Console, "update", ctrl_c)
    output, said = invoke("train", str(TINY), DRIFT, *SHORT, "--runs", str(tmp_path / "runs"), "--json", code=130)
    (run,) = (tmp_path / "runs").iterdir()
    answer = last_json(output)
    message = f"interrupted (SIGINT) and saved at environment step 61\ngo on with: composer resume {run}"
    warnings = answer.pop("warnings")
    assert [warning["path"] for warning in warnings] == ["training.log_every"]
    assert answer == {
        "run": str(run), "run_id": run.name, "mlflow_run_id": None, "status": "interrupted", "exit_code": 130,
        "message": message,
    }  # fmt: skip
    assert said.endswith(f"{message}\n")


def test_a_stopped_run_evaluates_as_it_stands(tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path, DRIFT, *SHORT), at=70)
    output, _ = invoke("evaluate", str(run), "--episodes", "2", "--json")
    assert last_json(output)["env_steps"] == 71


def test_check_and_show_answer_in_json(tmp_path: Path) -> None:
    output, _ = invoke("check", str(TINY), "--json")
    assert last_json(output)["problems"] == []
    bad = tmp_path / "bad.toml"
    bad.write_text(TINY.read_text().replace("batch_size", "bach_size"))
    output, _ = invoke("check", str(bad), "--json", code=2)
    (problem,) = last_json(output)["problems"]
    assert "batch_size" in json.dumps(problem)
    output, _ = invoke("show", str(TINY), "training.env_steps=999", "--json")
    assert last_json(output)
    output, said = invoke("train", str(bad), "--json", code=2)
    assert last_json(output)["status"] == "invalid"
    assert "did you mean 'batch_size'" in said


def test_show_draws(tmp_path: Path) -> None:
    path = tmp_path / "networks.svg"
    output, said = invoke("show", str(TINY), "--diagram", str(path), "--json")
    assert last_json(output)["networks"]["critic"]["copies"] == 2
    assert said.strip() == f"drawn: {path}"
    assert path.read_text().startswith("<?xml")
    output, said = invoke("show", str(TINY), "--diagram", str(tmp_path / "a.gif"), "--json", code=2)
    assert last_json(output)["exit_code"] == 2
    assert "a figure is written as .svg, .png or .pdf" in said


def test_what_is_too_large_for_this_machine_can_be_read(tmp_path: Path) -> None:
    huge = ("replay.capacity=10_000_000_000", "replay.storage=device")
    output, _ = invoke("show", str(TINY), *huge, "--json")
    assert last_json(output)["memory_bytes"] > 10**11
    _, said = invoke("train", str(TINY), *huge, "--runs", str(tmp_path / "runs"), code=2)
    assert "nothing allocated" in said
    assert not (tmp_path / "runs").exists()


def test_diff_of_variants() -> None:
    output, _ = invoke("diff", "dmc/sac_simba", "dmc/sac_simba@small", "--json")
    table = last_json(output)
    assert table["parameters"]["critic"]["change"] < 0
    assert {"key": "networks.critic.trunk.layers[0].width", "left": 512, "right": 128} in table["differences"]
    output, _ = invoke("diff", "dmc/sac_simba", "dmc/sac_simba@small")
    assert "critic parameters" in output
    _, said = invoke("diff", "dmc/sac_simba@smal", "quickstart", code=2)
    assert "no variant named 'smal'; did you mean 'small'?" in said


def test_explain() -> None:
    output, _ = invoke("explain", "dmc/sac_simba", "networks.critic.trunk.width", "--variant", "small", "--json")
    table = last_json(output)
    assert (table["value"], [one["layer"] for one in table["settings"]]) == (128, ["file", "variant small"])
    output, _ = invoke("explain", str(TINY), "training.env_steps", "training.env_steps=9")
    assert output.startswith("training.env_steps = 9\n  Length of the run, per seed.")
    _, said = invoke("explain", str(TINY), "training.env_step", code=2)
    assert said == "no key \"training.env_step\"; did you mean 'training.env_steps'?\n"
    output, _ = invoke("explain", str(TINY), "name", "algorithm.discount=2", "--json", code=2)
    assert last_json(output)["status"] == "invalid"


def test_lint_is_no_judge(tmp_path: Path) -> None:
    output, _ = invoke("lint", str(TINY), "--json")
    rules = {one["rule"] for one in last_json(output)["advice"]}
    assert "one-seed" in rules
    output, _ = invoke("lint", "dmc/sac_simba", "dmc/sac_simba_post")
    assert output.count("[one-seed;") == 1, "what both inherit is told once"
    sound = tmp_path / "sound.toml"
    sound.write_text('extends = "dmc/sac_simba"\nname = "sound"\nseeds = [0, 1, 2]\n')
    output, said = invoke("lint", str(sound))
    assert (output, said) == ("", "no advice\n")
    sound.write_text("seeds = 3")
    invoke("lint", str(sound), code=2)


def test_parts() -> None:
    output, _ = invoke("parts", "simba", "--json")
    (part,) = last_json(output)["parts"]
    assert part["size"]["output_shape"] == [512]
    output, _ = invoke("parts", "smba", "--json", code=2)
    assert "did you mean 'simba'" in last_json(output)["message"]


def test_version() -> None:
    assert invoke("--version")[0].strip() == __version__


def probe(*arguments: str) -> tuple[set[str], float]:
    """Modules that a command imports, and the processor time that it takes, in seconds."""
    text = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.argv = ['composer', *{list(arguments)!r}]\n"
        "from composer.cli import main\n"
        "main()"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=ALONE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return set(result.stderr.splitlines()[-1].split()), spent


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        (["--help"], 1.0),
        (["check", str(TINY)], 3.0),
        (["show", str(TINY)], 3.0),
        pytest.param(["kinds", "residual"], 3.0, marks=pytest.mark.slow),
        pytest.param(["explain", str(TINY), "networks.critic.trunk.width"], 3.0, marks=pytest.mark.slow),
        pytest.param(["lint", str(TINY)], 3.0, marks=pytest.mark.slow),
        pytest.param(["diff", str(TINY), "quickstart"], 3.0, marks=pytest.mark.slow),
        pytest.param(["parts", "simba"], 3.0, marks=pytest.mark.slow),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_commands_that_learn_nothing_load_no_torch(arguments: list[str], limit: float) -> None:
    """Alone looks at the modules that a command's own process has imported."""
    modules, seconds = probe(*arguments)
    assert not {"torch", "mlflow", "dm_control", "gymnasium", "scipy", "mujoco", "matplotlib", "numpy"} & modules
    assert seconds < limit


def test_list_imports_gymnasium_for_its_blueprints_but_neither_torch_nor_a_simulator() -> None:
    """A process of its own shows what the listing alone imports."""
    modules, seconds = probe("list")
    assert not {"torch", "mlflow", "dm_control", "scipy", "mujoco", "matplotlib", "pandas"} & modules
    assert seconds < 3.0


def test_the_module_can_be_asked_for_help() -> None:
    result = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, env=ALONE, check=True)
    running = ("train", "resume", "evaluate", "digest", "sync", "compare", "ui")
    reading = ("check", "show", "explain", "diff", "lint", "parts", "eject", "schema")
    for command in (*running, *reading):
        assert f" {command} " in result.stdout
