"""What a run learns from, as a store groups by it: the task with its versions, or the very samples."""

from pathlib import Path
from typing import Any

from composer.blueprint import load
from composer.training import assemble
from composer.training.assemble.run_dataset import run_dataset
from composer.training.assemble.start_upload import describe

ROOT = Path(__file__).parents[2] / "blueprints"
FACTS: dict[str, Any] = {"fingerprint": {"mujoco": "3.1", "dm_control": "1.0", "torch": "2"}, "seeds": [3, 5]}


def test_agents_that_learn_one_task_have_one_dataset() -> None:
    def found(name: str, *overrides: str, **facts: Any) -> Any:
        return run_dataset(load(ROOT / f"{name}.toml", overrides).blueprint.environment, FACTS | facts)

    first = found("dmc/sac_simba")
    assert (first.name, first.environments) == ("walker-walk", 2)
    assert first.columns == {
        "observation": "float32 [24]",
        "action": "6 numbers in [-1, 1]",
        "reward": "float32",
    }
    assert first.counts == {"episode_env_steps": 1000, "action_repeat": 2, "episode_decisions": 500}
    assert first.source["versions"] == {"mujoco": "3.1", "dm_control": "1.0"}, "those that the task depends on"
    again = found(
        "dmc/ppo_simba", "environment.task=walker-walk", "environment.copies=4", "algorithm.batch_size=32", seeds=[0]
    )
    assert (again.digest, again.environments) == (first.digest, 4)
    others = [
        found("dmc/sac_simba", "environment.task=walker-run"),
        found("dmc/sac_simba", "environment.action_repeat=4"),
        found("dmc/sac_simba", fingerprint={**FACTS["fingerprint"], "mujoco": "3.2"}),
    ]
    assert len({first.digest, *(each.digest for each in others)}) == 4
    assert found("atari/dqn").columns["action"] == "one of 6"


def test_a_data_set_is_told_by_its_samples(tmp_path: Path) -> None:
    def described(name: str, *overrides: str) -> Any:
        blueprint = load(ROOT / name, [*overrides, "compute.compile=never", "seeds=[0, 1]"]).blueprint
        run, session = assemble.start(blueprint, tmp_path, None)
        digest = session.collector.data_digest()
        session.close()
        run.close()
        return describe(blueprint, run.facts, tmp_path, digest).dataset

    digits = described("warm_start/digits.toml")
    assert digits.columns == {"input": "float32 [64]", "label": "one of 10 classes"}
    assert (digits.name, digits.counts) == ("digits", {"samples": 1437, "held_out_samples": 360})
    assert digits.environments == 0
    assert described("warm_start/digits.toml", "algorithm.batch_size=16").digest == digits.digest
    # As many samples, and other ones.
    one, other = (
        described("warm_start/teacher.toml", f"environment.data.number={number}", "environment.data.samples=640")
        for number in (0, 1)
    )
    assert one.counts == other.counts and one.digest != other.digest
    assert len(one.digest) == 16 and one.columns["label"] == "number"
