"""Two blueprints compared: keys and sizes."""

from __future__ import annotations

from composer.blueprint import Loaded, load
from composer.blueprint.inspect.diff import diff_json, diff_text
from composer.blueprint.inspect.show import show_json
from composer.spec.package_files import blueprints_root


def quickstart(*overrides: str) -> Loaded:
    return load(blueprints_root() / "quickstart.toml", overrides)


def test_keys_and_sizes() -> None:
    left, right = quickstart("networks.actor.trunk.width=32"), quickstart("~normalization", "seeds=[0, 1]")
    table, text = diff_json(left, right), diff_text(left, right, full=True).split("\n")
    written = [line.split() for line in diff_text(left, right).split("\n")]
    assert ["~", "networks.actor.trunk.width", "32", "→", "64"] in written
    assert [line.split()[2:] for line in text if "networks.actor.trunk.layers[0].width " in line] == [["32", "→", "64"]]
    assert "+ seeds[1]  1" in text
    assert {"key": "seeds[1]", "left": None, "right": 1} in table["differences"]
    ours, theirs = show_json(left.blueprint), show_json(right.blueprint)
    actor = [shown["networks"]["actor"]["parameters"] for shown in (ours, theirs)]
    assert table["parameters"]["actor"] == {"left": actor[0], "right": actor[1], "change": actor[1] - actor[0]}
    assert table["parameters"]["critic"]["change"] == 0
    flops = [shown["update"]["flops"] for shown in (ours, theirs)]
    assert table["update_flops"] == {"left": flops[0], "right": flops[1], "change": flops[1] - flops[0]}
    assert table["memory_bytes"] == {
        "left": ours["memory_bytes"],
        "right": theirs["memory_bytes"],
        "change": theirs["memory_bytes"] - ours["memory_bytes"],
    }
    # The actor: 9,730 to 33,858 parameters; the critic keeps its size and has no row.
    (row,) = (line.split() for line in text if line.startswith("actor parameters"))
    assert row[2:] == [f"{actor[0]:,}", "→", f"{actor[1]:,}", f"{100 * (actor[1] / actor[0] - 1):+.1f}", "%"]
    assert not any(line.startswith("critic parameters") for line in text)
    assert [line.split()[0] for line in text[-2:]] == ["an", "memory"]


def test_what_changes_no_size_says_so() -> None:
    left, right = quickstart(), quickstart("optimizers.actor.learning_rate=1e-3")
    assert diff_text(left, right).split("\n") == [
        "quickstart → quickstart optimizers.actor.learning_rate=1e-3",
        "",
        "~ optimizers.actor.learning_rate  0.0003 → 0.001",
        "",
        "parameters, operations and memory are the same",
    ]
    assert diff_text(left, quickstart()) == "quickstart and quickstart are the same experiment"
    named = "quickstart and quickstart description=other are the same experiment (description differs)"
    assert diff_text(left, quickstart("description=other")) == named
    assert "~ description" in diff_text(left, quickstart("description=other"), full=True)
    said = diff_text(left, quickstart("compute.threads=3")).split("\n")
    assert said[2] == "~ compute.threads  1 → 3"
    assert said[-1] == "both are the same experiment: nothing that is trained differs"
    assert [diff_json(left, quickstart(each))["same_experiment"] for each in ("compute.threads=3", "seeds=[1]")] == [
        True,
        False,
    ]
    assert diff_json(left, quickstart())["differences"] == []
