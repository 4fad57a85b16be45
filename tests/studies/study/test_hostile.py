"""No study file makes anything but a study or problems at lines of it, in little time and memory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from study_files import TINY

from composer.blueprint import BlueprintError
from composer.studies.study.load import load_study

SOUND: dict[str, Any] = {
    "study": 1,
    "blueprint": "tiny.toml",
    "tasks": ["cartpole-swingup"],
    "seeds": 2,
    "zip": [["width", "depth"]],
    "axis": {"width": [16, 32], "depth": [1, 2], "resets": [False, True]},
    "exclude": [{"width": 32, "resets": True}],
    "set": {
        "networks": {"critic": {"trunk": {"width": "${axis.width}", "blocks": "${axis.depth}"}}},
        "networks.actor.trunk.width": "${div:${set.networks.critic.trunk.width},2}",
    },
    "when": {"resets": {"use": "full_reset", "set": {"interventions.full_reset.interval": 600}}},
}
VALUES = st.sampled_from(
    [
        *(True, False, 0, 1, -1, 2**63 - 1, -(2**63), 0.5, -0.0, 1e308, float("nan"), float("inf")),
        *("", "yes", "010", "~", "base", "a+b", "+", "@", "../x", "/", "\x00", "\u202e", "\u00e9", "x" * 1_500, "="),
        *(
            "${axis.width}",
            "${set.algorithm}",
            "${.x}",
            "${oc.env:OF_THIS_TEST}",
            "${${axis.width}:OF_THIS_TEST}",
            "${",
            "}",
            "\\${x}",
        ),
        *("${set.networks.actor.trunk.width}", "full_reset", "simba", "dmc/sac_simba", "tiny.toml@small", "dmc_hard"),
        *([], [[]], [1, True], [1, 1.0], ["a", "b"], [[16]], [{}], {}, {"kind": 1}, {"use": "simba"}, {"a": {"b": 1}}),
        *([*range(5_000)], {"x.y": 1}, {"": 1}, {"set": {"x": "${set.x}"}}),
    ]
)
KEYS = st.sampled_from(
    ["axis", "set", "when", "width", "resets=1", "resets=true", "", "a.b", "task", "variant", "seeds"]
)


def places(table: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def put(table: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(table, list):
        return [put(each, rest, value) if index == head else each for index, each in enumerate(table)]
    return {**table, head: put(table.get(head, {}), rest, value)} if isinstance(table, dict) else table


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(places(SOUND)[1:]), VALUES, KEYS | st.none()), min_size=1, max_size=2))
def test_changed_studies_load_or_are_told_at_their_lines(
    changes: list[tuple[tuple[Any, ...], Any, str | None]],
) -> None:
    table: Any = SOUND
    for path, value, key in changes:
        whole = put(table, (*path[:-1], key) if key is not None and isinstance(path[-1], str) else path, value)
        table = whole if isinstance(whole, dict) else table
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tiny.toml").write_text(TINY.read_text())
        path = Path(folder) / "study.toml"
        path.write_text(tomli_w.dumps(table), encoding="utf-8")
        try:
            with patch.dict(os.environ, OF_THIS_TEST="secret"):
                study = load_study(path)
        except BlueprintError as error:
            assert error.problems and len(str(error)) < 200_000
            for each in error.problems:
                assert "secret" not in str(each) and str(each).isprintable()
                assert each.file in (str(path), str(Path(folder) / "tiny.toml"))
        else:
            assert not any("secret" in text for run in study.runs for text in run.arguments)
            assert len({run.key for run in study.runs}) == len(study.runs) >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[axis]\n" + "".join(f"x{i} = [1, 2]\n" for i in range(16)), "65,536 points; limit 4,096"),
        ("[axis]\n" + "".join(f"x{i} = [1]\n" for i in range(17)), "needs at most 16 entries, has 17"),
        ("[set]\n" + "".join(f"k{i} = '${{set.k{i + 1}}}'\n" for i in range(40)) + "k40 = 1", "more than 32"),
        ("[set]\nx = " + "[" * 40 + "]" * 40, "nested deeper than 32"),
        ("[set]\nx = '" + "${" * 500 + "}" * 500 + "'", "more than 32 references in one text"),
    ],
)
def test_files_that_multiply_or_nest_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.read_text())
    (tmp_path / "study.toml").write_text(f"study = 1\nblueprint = 'tiny.toml'\n{text}")
    with pytest.raises(BlueprintError, match=message):
        load_study(tmp_path / "study.toml")
