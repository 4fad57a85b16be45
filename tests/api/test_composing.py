"""Reading and writing blueprints from Python: the same blueprints, the same checks, and nothing heavy imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import composer
from composer.algorithms import SAC, EpisodeLength
from composer.algorithms.normalization.spec import Normalization, RSNorm
from composer.blueprint import Compute, Training, digest
from composer.environments import DmControl
from composer.networks.blocks import LayerNorm, Linear, Relu, Repeat, Residual, Sequence
from composer.networks.heads import Scalar, TanhGaussian
from composer.networks.initializers import HeNormal
from composer.optim import Adam, AdamW
from composer.spec import builtin_kinds as kinds
from composer.spec.family import FAMILIES


def kind_rooms() -> dict[str, ModuleType]:
    """Packages of kinds by the name that ``import composer`` offers them under."""
    kinds.register()
    offered = {name: getattr(composer, name) for name in composer.__all__}
    return {
        name: room for name, room in offered.items() if isinstance(room, ModuleType) and room.__name__ in kinds.PACKAGES
    }


def quickstart(**changes: Any) -> dict[str, Any]:
    """``blueprints/quickstart.toml`` written in Python: specs, parts, tables and numbers side by side."""
    trunk = composer.part("simba", width=64, blocks=1)
    return {
        "name": "quickstart",
        "seeds": [0],
        "environment": DmControl(task="cartpole-swingup", action_repeat=2),
        "training": Training(env_steps=60_000),
        "normalization": Normalization(observation=RSNorm()),
        "compute": {"threads": 1},
        "algorithm": SAC(
            batch_size=128,
            update_to_data=1.0,
            n_step=3,
            warmup_interactions=1_000,
            discount=EpisodeLength(),
            initial_temperature=0.1,
            target_entropy_per_action=-0.5,
        ),
        "networks": {
            "actor": composer.Network(trunk=trunk, head=TanhGaussian()),
            "critic": {"trunk": {"use": "simba", "width": 64, "blocks": 1}, "head": Scalar()},
        },
        "averages": {"target_critic": {"of": "critic", "momentum": 0.99}},
        "optimizers": {
            "actor": AdamW(learning_rate=3e-4, weight_decay=1e-2),
            "critic": AdamW(learning_rate=3e-4, weight_decay=1e-2),
            "temperature": Adam(learning_rate=3e-4),
        },
        **changes,
    }


def test_a_blueprint_written_in_python_is_the_file() -> None:
    written, read = composer.compose(**quickstart()), composer.load("quickstart")
    assert composer.dump(written) == composer.dump(read)
    assert digest(written) == digest(read)
    assert written == read


def test_what_is_dumped_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(composer.dump(composer.compose(**quickstart(name="mine", seeds=(3, 1)))))
    assert composer.load(path).seeds == (3, 1)
    assert composer.load(path, ["training.env_steps=7_000"]).training.env_steps == 7_000
    assert composer.load("dmc/sac_simba", variant="small") != composer.load("dmc/sac_simba")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"traning": {}}, ["traning: unknown key; did you mean 'training'?"]),
        ({"seeds": [0, 0]}, ["seeds: seed 0 is listed twice"]),
        ({"seeds": None}, ["seeds: missing key 'seeds' (one agent is trained for each seed, all in one program)"]),
        ({"name": Path("x")}, ["name: expected string, got PosixPath x"]),
        # What the pieces mean together is checked as well, at the path that a file would have.
        (
            {"networks": {"actor": {"trunk": [Residual(block=Linear(width=3))], "head": TanhGaussian()}}},
            [
                "networks: SAC needs a network 'critic'; "
                'add networks.critic = { trunk = { use = "mlp" }, head = { kind = "scalar" } }',
                "networks.actor.trunk[0].block: a residual block must keep its shape: its input is [5], its output [3]",
            ],
        ),
        (
            {"averages": {"target_critic": {"of": "critic", "momentum": 0.99}, "x": {"of": "actr", "momentum": 0.9}}},
            ["averages.x.of: no network named 'actr'; did you mean 'actor'?"],
        ),
        (
            {"networks": {"actor": {"trunk": {"use": "simbo"}, "head": TanhGaussian()}}},
            ["networks.actor.trunk.use: no part named 'simbo'; did you mean 'simba'?"],
        ),
    ],
)
def test_what_is_wrong_is_reported_by_its_path(changes: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(composer.BlueprintError) as caught:
        composer.compose(**quickstart(**changes))
    reported = [str(problem) for problem in caught.value.problems]
    assert all(line.startswith("composed in Python:1:1: ") for line in reported)
    reported = [line.removeprefix("composed in Python:1:1: ") for line in reported]
    assert reported[0] in said


def test_a_part_is_the_spec_that_it_stands_for() -> None:
    simba = composer.part("simba", width=64, blocks=1)
    block = Residual(
        block=Sequence(
            layers=[
                LayerNorm(),
                Linear(expansion=4, weight=HeNormal()),
                Relu(),
                Linear(width=64, weight=HeNormal()),
            ]
        )
    )
    assert simba == Sequence(layers=[Linear(width=64), Repeat(times=1, block=block), LayerNorm()])
    assert simba.outline((5,)).count() == composer.load("quickstart").networks["actor"].trunk.outline((5,)).count()


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("simbo", {}, "use: no part named 'simbo'; did you mean 'simba'?"),
        ("simba", {"widht": 3}, "widht: part 'simba' has no parameter 'widht'; did you mean 'width'?"),
        ("simba", {"width": "3"}, 'block.layers[0].width: expected integer, got string "3"'),
        ("acme/mlp", {}, "use: no installed plug-in has the namespace 'acme'"),
    ],
)
def test_a_part_that_cannot_be(name: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(composer.BlueprintError) as caught:
        composer.part(name, **parameters)
    assert str(caught.value.problems[0]).startswith(f"composed in Python:1:1: {said}")


def test_every_kind_is_found_in_a_room() -> None:
    kinds.register()
    rooms = kind_rooms().values()
    members = [member for family in FAMILIES.values() for member in (family, *family.kinds().values())]
    ours = [member for member in members if member.__module__.startswith("composer.")]
    lost = [m.__qualname__ for m in ours if all(vars(room).get(m.__name__) is not m for room in rooms)]
    assert lost == []


def test_every_name_is_there_and_no_module_takes_the_place_of_a_function() -> None:
    import composer.training.launch
    import composer.training.loop

    assert len(kind_rooms()) == len(kinds.PACKAGES) - 1, (
        "all but composer.networks.network, whose one kind is at the top"
    )
    for name in composer.__all__:
        assert getattr(composer, name) is not None
        assert name in dir(composer)
    assert callable(composer.train)
    with pytest.raises(AttributeError, match="module 'composer' has no attribute 'trian'"):
        composer.trian  # noqa: B018


IMPORTS = """
import sys
import composer
assert not {"pydantic", "torch", "numpy"} & set(sys.modules), "import composer"
blueprint = composer.load("quickstart")
composer.compose(**blueprint.model_dump())
composer.part("simba")
composer.dump(blueprint)
composer.networks.blocks.Linear(width=3)
heavy = {"torch", "numpy", "mlflow", "dm_control", "gymnasium", "scipy", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


def test_importing_reading_and_composing_load_nothing_heavy() -> None:
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=3_600)


TYPED = """
import composer
from composer.networks.blocks import Linear

blueprint = composer.load("x.toml", ["a=1"], variant="b")
reveal_type(blueprint.name)
reveal_type(composer.build(blueprint))
reveal_type(composer.build(Linear(width=3), (5,)))
reveal_type(composer.train(blueprint).metrics["x"].values)
reveal_type(composer.compose)
composer.lood
"""


@pytest.mark.slow
def test_a_type_checker_sees_what_there_is(tmp_path: Path) -> None:
    """Alone proves that the lazy names at the package's top have types: mypy itself is run on a user's file."""
    (tmp_path / "mine.py").write_text(TYPED)
    root = Path(composer.__file__).parent.parent
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(tmp_path / "mine.py")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=3_600)
    revealed = [line.partition('Revealed type is "')[2] for line in done.stdout.splitlines() if "Revealed" in line]
    assert revealed[:3] == ['str"', 'dict[str, torch.nn.modules.module.Module]"', 'torch.nn.modules.module.Module"']
    assert revealed[3].startswith("numpy.ndarray[")
    assert revealed[4].startswith("def (*, overrides: ")
    assert "**keys: Any) -> composer.blueprint.schema.Blueprint" in revealed[4]
    assert 'Module has no attribute "lood"' in done.stdout


def test_variants_and_overrides_of_a_blueprint_in_python() -> None:
    variants = {"small": {"seeds": [5]}, "slow": {"training": {"log_every": 700}}}
    both = composer.compose(**quickstart(variants=variants), variant=["small", "slow"], overrides=["~compute"])
    assert (both.seeds, both.training.log_every, both.compute) == ((5,), 700, Compute())
    assert both == composer.compose(**quickstart(variants=variants), variant="small+slow", overrides=["~compute"])
    with pytest.raises(composer.BlueprintError, match="no variant named 'smal'; did you mean 'small'"):
        composer.compose(**quickstart(variants=variants), variant="smal")
    with pytest.raises(composer.BlueprintError, match="seeds: cannot be removed: nothing inherited sets it"):
        composer.compose(**quickstart(remove=["seeds"]))
    with pytest.raises(composer.BlueprintError, match="extends"):
        composer.compose(**quickstart(extends="quickstart"))
