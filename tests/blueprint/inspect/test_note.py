"""What a run says of itself: a text for one screen, and a command that makes the same run again."""

import re
import shlex
from pathlib import Path

import pytest

from composer.blueprint import digest, load
from composer.blueprint.inspect.note import RunPlace, note
from composer.blueprint.syntax.extends import find_blueprint, shipped
from composer.blueprint.syntax.notation import experiment
from composer.spec.seeds import seeds_in
from composer.tracking.stored_runs import LONGEST_NOTE

PLACE = RunPlace("the_agent", Path("/home/me/project/runs/run-1"), {"composer": "1.0", "mujoco": "3.1"})
FORK = {"from": "sac_simba-1", "env_step": 30_000, "branch": 2}


def text(name: str, *overrides: str, variant: str | None = None, place: RunPlace = PLACE) -> str:
    return note(load(find_blueprint(Path(name)), overrides, variant).blueprint, place)


def command(said: str) -> list[str]:
    found = re.search(r"```\n(.*)\n```", said, re.DOTALL)
    assert found is not None
    assert max(map(len, found[1].split("\n"))) < 90, "the page grows as wide as a command"
    return shlex.split(found[1].replace("\\\n", ""))


def test_a_run_says_what_is_trained_how_and_what_differs() -> None:
    said = text("dmc/sac_injection", "algorithm.batch_size=128", variant="two")
    assert (
        said
        == """\
SAC with one plasticity injection into the critic after a quarter of the run. Source: \
[arXiv:2305.15555](https://arxiv.org/abs/2305.15555).

**the_agent** on walker-walk (dm_control): SAC, 500,000 environment steps, 1 seed, 490,002 updates on batches of 128, \
1 per environment step (replay ratio 2).

- actor: mlp, width 256, depth 2; head tanh_gaussian; 75.3 k parameters
- critic: 2 × mlp, width 256, depth 2; head scalar; 148 k parameters

Interventions:

- injection: inject third_term subtract, original freeze, target follow, at 125,000, 250,000 environment steps; on \
part of critic

Differs from `sac_injection`:

- `algorithm.batch_size: 256 → 128`
- `interventions.injection.when.steps: [125_000] → [125_000, 250_000]`

To repeat it:

```
composer train dmc/sac_injection@two algorithm.batch_size=128 --seeds=0
```

Run directory: `runs/run-1`. Versions: composer 1.0, mujoco 3.1."""
    )


EXPECTED = {
    "atari/dqn_soft_moe": ["1 in 16 environment steps (replay ratio 0.25)", "- value: impala_soft_moe, 8 experts;"],
    "classic/cartpole_ppo": [
        "8 environments per seed",
        "16 after every 128 decisions",
        "2 × (linear, width 64 → tanh)",
    ],
    "warm_start/digits@hare_tortoise": [
        "on digits (phases): supervised, 10 seeds, 1,500 updates on batches of 32.",
        "- phase 2 of 2: 100 % of 1,437 samples, from update 500",
        "- hare: lerp toward average tortoise, every 10 epochs; on model",
    ],
    "dmc/simba_v2@small": ["and 9 more, which `composer diff` lists"],
    "quickstart": ["Pendulum-v1 (gymnasium)", "- `environment: "],
}
CHANGED = {
    "dmc/simba_v2@small": ["environment.task=walker-run", "seeds=[4, 5, 6, 9]"],
    "quickstart": ['environment={ kind = "gymnasium", id = "Pendulum-v1", copies = 2 }', "evaluation.episodes=3"],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_its_command_makes_the_same_run_again(name: str) -> None:
    overrides = CHANGED.get(name, [])
    file, _, variant = name.partition("@")
    said = text(file, *overrides, variant=variant or None)
    assert all(each in said for each in EXPECTED[name]), said
    assert said.count("\n") <= 30 and len(said) < LONGEST_NOTE and "/home" not in said
    composer, train, what, *words = command(said)
    seeds = words.pop().removeprefix("--seeds=")
    chosen = experiment(what)
    again = load(find_blueprint(chosen.path), [*words, f"seeds={seeds_in(seeds)}"], chosen.variant).blueprint
    assert (composer, train) == ("composer", "train")
    assert digest(again) == digest(load(find_blueprint(Path(file)), overrides, variant or None).blueprint)


@pytest.mark.parametrize("name", [name for name in shipped() if not name.startswith("studies/")])
def test_every_shipped_blueprint_has_one_of_a_screen(name: str) -> None:
    blueprint = load(shipped()[name], is_to_run=False).blueprint
    said = note(blueprint, PLACE)
    assert said.count("\n") <= 30 and len(said) < LONGEST_NOTE
    assert all(f"\n- {role}: " in said for role in blueprint.networks), "every network"
    assert all(f"\n- {each}: " in said for each in blueprint.interventions)
    assert command(said)[:3] == ["composer", "train", name]


def test_a_fork_names_its_origin_and_how_to_fork_again() -> None:
    place = RunPlace("sac fork@30000", PLACE.folder, fork=FORK)
    said = text("dmc/sac_simba", "algorithm.batch_size=128", place=place)
    assert "Continues `sac_simba-1` from environment step 30,000, from random streams of its own (branch 2)." in said
    assert "Differs from `sac_simba-1`:\n\n- `algorithm.batch_size: 256 → 128`" in said
    words = "composer fork runs/sac_simba-1 algorithm.batch_size=128 --at=30000 --branch=2"
    assert command(said) == words.split()


def test_paths_of_people_are_not_told(tmp_path: Path) -> None:
    file = tmp_path / "project" / "mine" / "wide.toml"
    file.parent.mkdir(parents=True)
    file.write_text('blueprint = 1\nextends = "quickstart"\nnetworks.critic.trunk.width = 96\n')
    for folder, expected in ((tmp_path / "project/runs/r", "mine/wide.toml"), (tmp_path / "other/runs/r", "wide.toml")):
        said = note(load(file).blueprint, RunPlace("wide", folder))
        assert command(said)[2] == expected and str(tmp_path) not in said
    made = load(file).blueprint.model_copy(update={"seeds": (7,)})
    assert command(note(made, PLACE))[:3] == ["composer", "train", "blueprint.toml"]
