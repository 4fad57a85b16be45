"""What was meant where a path names no blueprint, no study or no run: said where the file is read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from composer.blueprint import BlueprintError, check
from composer.blueprint.syntax.notation import experiment
from composer.spec.errors import ComposerError
from composer.studies.study.load import load_study
from composer.training.runs.directory import read_facts


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blueprints, runs of them, and folders; the newest run of ``mine`` is the second."""
    monkeypatch.chdir(tmp_path)
    Path("blueprint.toml").write_text('blueprint = 1\nname = "mine"\n')
    Path("deep/er").mkdir(parents=True)
    Path("deep/sac.toml").write_text("blueprint = 1\n")
    for age, (run, name, variant) in enumerate(
        [("mine-1", "mine", None), ("mine-2", "mine", "small"), ("quickstart-1", "quickstart", None)]
    ):
        path = Path("runs", run)
        (path / "checkpoints" / "step-1").mkdir(parents=True)
        (path / "blueprint.toml").write_text("blueprint = 1\n")
        (path / "run.json").write_text(json.dumps({"name": name, "variant": variant}))
        os.utime(path, (age, age))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("blueprnt.toml", "no such file; did you mean 'blueprint.toml'?"),
        ("blueprnt.toml@small", "no such file; did you mean 'blueprint.toml'?"),
        ("deep/sacc.toml", "no such file; did you mean 'deep/sac.toml'?"),
        ("quickstart.toml", "no such file; the blueprint that ships with composer is called 'quickstart'"),
        ("quikstart", "no such file; did you mean 'quickstart'?"),
        ("crossq", "no such file; did you mean 'dmc/crossq'?"),
        ("dcm/crossq.toml", "no such file; did you mean 'dmc/crossq'?"),
        (
            "sac_simba",
            "no such file; did you mean 'dmc/sac_simba', 'humanoid_bench/sac_simba', ",
        ),
        ("studies/simba_ladder", "no such file; 'studies/simba_ladder' is a study: 'composer study check studies/si"),
        ("simba_block", "no such file; 'simba_block' is a part of blueprints: 'composer parts simba_block'"),
        ("zzzzz", "no such file; 'composer list' shows the blueprints that there are"),
        ("deep", "is a directory; pass its .toml file; it has 'deep/sac.toml'"),
        ("deep/er", "is a directory; pass its .toml file"),
        ("runs/mine-1", "is a directory; pass its .toml file; it is a run: 'composer resume runs/mine-1' goes on"),
        ("x" * 5000, "cannot be read (File name too long)"),
    ],
)
def test_a_blueprint_that_is_none(given: str, said: str) -> None:
    chosen = experiment(given)
    (problem,) = check(chosen.path)
    assert str(problem).removeprefix(f"{problem.file}:1:1: ").startswith(said)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("quickstart", "'quickstart' is a blueprint: 'composer train quickstart', or name it in a study"),
        ("simba_ladder", "did you mean 'studies/simba_ladder'?"),
        ("zzzzz", "'composer list studies' shows those that there are"),
    ],
)
def test_a_study_that_is_none(given: str, hint: str) -> None:
    with pytest.raises(BlueprintError) as error:
        load_study(given)
    assert str(error.value).endswith(f"no such file, nor a shipped study of this name; {hint}")


A_RUN = "it is a blueprint, and a run is a directory that 'composer train"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("blueprint.toml", f"{A_RUN} blueprint.toml' makes: runs/mine-2, runs/mine-1"),
        ("blueprint.toml@small", f"{A_RUN} blueprint.toml@small' makes: runs/mine-2"),
        ("quickstart", f"{A_RUN} quickstart' makes: runs/quickstart-1"),
        ("dmc/sac_simba", f"{A_RUN} dmc/sac_simba' makes; there is none of it in runs/"),
        ("runs", "it is a folder of runs: 'runs/mine-1', 'runs/mine-2', 'runs/quickstart-1'"),
        ("runs/mine-1/checkpoints/step-1", "did you mean the run 'runs/mine-1'?"),
        ("runs/mine-3", "did you mean 'runs/mine-2'?"),
        ("quickstart-2", "did you mean 'runs/quickstart-1'?"),
        ("nothing", "run.json: No such file or directory"),
        ("x" * 5000, "run.json: File name too long"),
    ],
)
def test_a_run_that_is_none(given: str, said: str) -> None:
    with pytest.raises(ComposerError) as error:
        read_facts(Path(given))
    assert str(error.value) == f"{given} is no run directory: {said}" and error.value.exit_code == 3
