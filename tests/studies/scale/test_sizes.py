"""The runs of a scaling study, from a study's file and from blueprints."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from composer.studies import Refused
from composer.studies.scale.sizes import abscissa, planned

WIDTH = "networks.model.trunk.width"
DIGITS = ("warm_start/digits", "environment.phases=[{}]", "~interventions.fresh_optimizer")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "widths.toml"
    path.write_text(
        'study = 1\nblueprint = "warm_start/digits"\nseeds = 3\n'
        "[axis]\ncold = [false, true]\nwidth = [64, 16, 32]\nrate = [1e-3]\n"
        '[set]\n"networks.model.trunk.width" = "${axis.width}"\n"optimizers.model.learning_rate" = "${axis.rate}"\n'
        '[when.cold]\nvariant = "cold_start"\n'
    )
    return path


def test_the_other_axes_of_a_study_are_agents(study: Path) -> None:
    plan = planned([str(study)], ["width"])
    assert [ladder.name for ladder in plan.ladders] == ["cold=false, rate=0.001", "cold=true, rate=0.001"]
    assert [list(ladder.runs) for ladder in plan.ladders] == [[16, 32, 64]] * 2
    assert [run.point.values["width"] for run in plan.runs] == [16, 16, 32, 32, 64, 64]


def test_blueprints_with_overrides_are_agents_and_keys_change_together() -> None:
    over = [f"{WIDTH}=32, 16, 64", "optimizers.model.learning_rate=2e-3,1e-3,4e-3"]
    plan = planned([*DIGITS, "warm_start/digits@ema", *DIGITS[1:], "training.env_steps=900"], over)
    assert [ladder.name for ladder in plan.ladders] == [
        "warm_start/digits",
        "warm_start/digits@ema training.env_steps=900",
    ]
    for size, run in plan.ladders[0].runs.items():
        assert run.blueprint.optimizers["model"].model_dump()["learning_rate"] == pytest.approx(size / 16e3)
        assert f"{WIDTH}={size:g}" in run.arguments
    assert plan.name == "scale-digits"


def test_parameters_and_operations_are_those_of_one_seed() -> None:
    run = planned(DIGITS, [f"{WIDTH}=16,32,64"]).ladders[0].runs[16]
    parameters = 64 * 16 + 16 + 2 * (16 * 16 + 16) + 16 * 10 + 10
    assert abscissa(run.blueprint, 16, "parameters") == parameters
    one = abscissa(run.blueprint.model_copy(update={"seeds": (0,)}), 16, "flops")
    # Forward and two gradients, two operations per weight; activations and biases add less than a tenth.
    weights = 32 * 1500 * 6 * (64 * 16 + 2 * 16 * 16 + 160)
    assert abscissa(run.blueprint, 16, "flops") == one
    assert weights * 0.8 < one < weights * 1.1


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (["width"], "KEY=V1,V2,V3"),
        ([], "name the size"),
        ([f"{WIDTH}=1,2"], "at least 3 sizes"),
        ([f"{WIDTH}=16,32,wide"], "a size is a number, got 'wide'"),
        ([f"{WIDTH}=16,32,16"], "there twice"),
        ([f"{WIDTH}=16,32,64", "seeds=1,2"], "as many values"),
        (["algorithm.label_smoothing=0,0.1,0.2"], "positive sizes"),
    ],
)
def test_wrong_sizes_are_refused(over: Sequence[str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        planned(DIGITS, over)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ([], "'rate', 'width' numeric axes: name one"),
        (["widht"], "did you mean 'width'"),
        (["cold"], "no numeric axis 'cold'"),
        (["rate"], "at least 3 sizes, and rate has 1"),
        (["width=16,32,64"], "names one axis"),
    ],
)
def test_wrong_axes_are_refused(study: Path, over: Sequence[str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        planned([str(study)], over)
