"""``composer list``: all that ships, with variants and costs; files of the folder first; what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.blueprint import load
from composer.blueprint.forecast.parameters import trainable_parameters
from composer.blueprint.inspect.catalogue import Entry
from composer.blueprint.inspect.show import show_json
from composer.blueprint.syntax.extends import shipped
from composer.studies.catalogue import NothingFound, StudyEntry, found, table, text
from composer.studies.study.load import load_study, shipped_studies


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Entry | StudyEntry]:
    return found(None, tmp_path_factory.mktemp("empty"))


def test_all_that_ships_is_listed_with_its_variants_and_costs(everything: list[Entry | StudyEntry]) -> None:
    rows = table(everything)
    assert [row["name"] for row in rows["blueprints"]] == [*shipped()]
    assert [row["name"] for row in rows["studies"]] == [*shipped_studies()]
    for row in (*rows["blueprints"], *rows["studies"]):
        assert row["problem"] is None and row["purpose"] and row["source"], row
    (sac,) = [row for row in rows["blueprints"] if row["name"] == "dmc/sac_simba"]
    loaded = load(sac["file"], is_to_run=False)
    shown = show_json(loaded.blueprint)
    parameters = sum(each["trainable"] for each in shown["networks"].values()) + 1  # and the temperature
    assert sac["cost"]["parameters"] == parameters == trainable_parameters(loaded.blueprint)
    assert (sac["cost"]["env_steps"], sac["cost"]["updates"]) == (500_000, shown["length"]["updates"])
    assert sac["variants"] == list(loaded.variants)
    for row in rows["studies"]:
        if row["name"] in ("studies/simba_ladder", "studies/width_ratio_resets"):
            assert row["runs"] == len(load_study(row["file"]).runs)


@pytest.mark.parametrize("width", [80, 120])
def test_the_text_fits_the_terminal_and_names_every_entry_once(
    everything: list[Entry | StudyEntry], width: int
) -> None:
    lines = text(everything, True, width).split("\n")
    assert max(map(len, lines)) <= width
    names = [line.split()[0] for line in lines[2:] if line and not line.startswith(" ")]
    listed = names[: names.index("Times")]
    assert sorted(listed) == sorted({**shipped(), **shipped_studies()})
    assert names[0] == "quickstart"
    assert sum("variants: " in line for line in lines) == sum(
        bool(each.variants) for each in everything if isinstance(each, Entry)
    )


def test_files_of_the_folder_come_first_and_what_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "blueprints" / "deep").mkdir(parents=True)
    (tmp_path / "mine.toml").write_text('# My agent. More.\nblueprint = 1\nextends = "quickstart"\n[variants.wide]\n')
    (tmp_path / "blueprints" / "deep" / "wrong.toml").write_text("blueprint = 1\nseeds = 3\n")
    (tmp_path / "other.toml").write_text("[project]\n")
    (tmp_path / "broken.toml").write_text("blueprint = ")
    (tmp_path / "study.toml").write_text('study = 1\nblueprint = "mine.toml"\n[axis]\nvariant = ["base", "wide"]\n')
    listed = found(None, tmp_path)
    own = {each.name: each for each in listed if each.name.endswith(".toml")}
    assert set(own) == {"mine.toml", "blueprints/deep/wrong.toml", "study.toml"}
    assert own["mine.toml"].about.purpose == "My agent."
    assert own["mine.toml"].about.source.startswith("SimBa (arXiv:2410.09754)")
    assert "deep/wrong.toml:1:1: algorithm: missing key" in own["blueprints/deep/wrong.toml"].problem
    study = own["study.toml"]
    assert isinstance(study, StudyEntry) and (study.axes, study.runs) == (("variant",), 2)
    lines = text(listed, False, 80).split("\n")
    assert lines[2].startswith("mine.toml") and lines[3] == "    My agent."


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("dmc/td3", ["dmc/td3"]),
        ("*vgg*", ["warm_start/vgg16"]),
        ("2402.08609", ["atari/dqn_soft_moe", "atari/rainbow_soft_moe"]),
        ("moments_zero", ["atari/bbf_hare_tortoise", "atari/drq_hare_tortoise", "dmc/sac_hare_tortoise"]),
        ("PLASTICITY INJECTION", ["atari/dqn_injection", "dmc/sac_injection"]),
        ("subset", ["studies/warm_start_map", "studies/warm_start_photographs"]),
    ],
)
def test_a_pattern_finds_names_purposes_sources_variants_and_axes(
    pattern: str, names: list[str], everything: list[Entry | StudyEntry], tmp_path: Path
) -> None:
    assert [each.name for each in found(pattern, tmp_path)] == names


def test_nothing_found_names_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(NothingFound, match="no blueprint and no study has \"quickstrat\"; did you mean 'quickstart'"):
        found("quickstrat", tmp_path)
