"""Which settings of a run are shown in a table of runs."""

from pathlib import Path

import pytest

from composer.blueprint import Blueprint, load
from composer.blueprint.inspect.main_settings import MOST, main_settings
from composer.blueprint.syntax.extends import shipped


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_blueprint_and_variant_shows_few(name: str) -> None:
    whole = load(shipped()[name], is_to_run=False)
    always = {"algorithm.kind", "environment.kind", "seeds", "training.env_steps", "others"}
    for variant in (None, *whole.variants):
        found = main_settings(load(shipped()[name], variant=variant, is_to_run=False).blueprint)
        assert len(found) <= MOST < 40 and always <= found.keys()


def test_what_was_written_is_shown_as_it_was_written() -> None:
    changed = load(
        shipped()["dmc/sac_simba"], ["algorithm.n_step=3", "seeds=[4, 5]", "environment.task=hopper-hop"], "small"
    ).blueprint
    found = main_settings(changed)
    assert found["environment.task"] == "hopper-hop" and found["seeds"] == "[4, 5]"
    assert found["algorithm.n_step"] == "3" and found["networks.actor.trunk"].startswith("simba(width=")
    # What a variant or an override sets comes before what the file writes.
    keys = [*found]
    assert keys.index("algorithm.n_step") < keys.index("optimizers.actor")


def test_a_removed_entry_is_said_to_be_removed() -> None:
    found = main_settings(load(shipped()["dmc/sac_resets"], variant="without_resets").blueprint)
    assert "removed" in found.values()


def test_too_many_are_counted_and_a_blueprint_of_python_needs_no_file(tmp_path: Path) -> None:
    blueprint = load(shipped()["dmc/sac_simba"]).blueprint
    made = Blueprint.model_validate(blueprint.model_dump())
    found = main_settings(made)
    assert len(found) == MOST and "left out here" in found["others"]
