"""The counts of the house find what is planted, and the package is within its bounds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tools import house, source

_names = (f"cottage{number}" for number in count())

Planted = Callable[..., tuple[int, list[str]]]

BLUEPRINT = {
    "blueprint/__init__.py": "from .schema import Blueprint\n",
    "blueprint/schema.py": "class Blueprint: ...\n",
}
KINDS = {
    "spec.py": "class Family: ...\n",
    "zoo/__init__.py": "from .base import Animal, Bird\n",
    "zoo/base.py": """
        from cottage.spec import Family
        class Wings: ...
        class Animal(Family, family="animal"): ...
        class Bird(Animal, Wings, abstract=True): ...
        class Duck(Bird, kind="duck"): ...
    """,
}


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    """What a count says of a small package of the given files: its number, and its offenders as ``file:line``."""
    # Every test's package has a name of its own: Python would find the first one again.
    name = next(_names)

    def counted(which: str, files: dict[str, str]) -> tuple[int, list[str]]:
        for path, text in {"__init__.py": "", **files}.items():
            lines = [line.removeprefix(" " * 8) for line in text.strip("\n ").splitlines()]
            inside = tmp_path / name / path
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_text("\n".join(lines).replace("cottage", name) + "\n", encoding="utf-8")
        result = house.COUNTS[which](source.House(tmp_path, name))
        return result.number, [f"{one.path.relative_to(name)}:{one.line}" for one in result.offenders]

    return counted


def test_the_package_is_within_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert house.main([]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.count(" of ") >= len(house.COUNTS) == len(house.BOUNDS)


def test_a_count_over_its_bound_fails_and_names_the_offenders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(house.BOUNDS, "files", 0)
    name = next(_names)
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("\n" * 301)
    assert house.main(["--root", str(tmp_path), "--package", name]) == 1
    assert f"{name}/__init__.py:301: 301 lines" in capsys.readouterr().out
    (tmp_path / name / "__init__.py").write_text("\n" * 300)
    assert house.main(["--root", str(tmp_path), "--package", name]) == 0


def test_entries(planted: Planted) -> None:
    assert planted("entries", {"a.py": "", "b/__init__.py": "", "__pycache__/a.py": ""})[0] == 3


def test_floors_are_counted_by_rooms_and_a_circle_is_as_high_as_its_rooms(planted: Planted) -> None:
    chain = {"top.py": "import cottage.middle", "middle.py": "from cottage import low", "low.py": "", "other.py": ""}
    assert planted("floors", chain)[0] == 3
    assert planted("floors", {**chain, "low.py": "import cottage.middle"})[0] == 3
    assert planted("floors", {**chain, "other.py": "import cottage.top"})[0] == 4


def test_circles_count_imports_for_types_too(planted: Planted) -> None:
    one = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cottage.b import B"
    files = {"a.py": one, "b.py": "def f():\n    import cottage.a", "c.py": "import cottage.a"}
    assert planted("circles", files) == (2, ["a.py:1"])
    assert planted("circles", {**files, "b.py": ""}) == (0, [])


@pytest.mark.parametrize(
    "text",
    [
        "from cottage.blueprint import Blueprint\ndef f(x: Blueprint): ...",
        "from cottage.blueprint.schema import Blueprint as B\ndef f(*, x: 'list[B] | None'): ...",
        "from cottage.blueprint import schema\ndef f(*x: schema.Blueprint): ...",
        "from ..blueprint import Blueprint\nclass Held: blueprint: Blueprint",
        "import cottage.blueprint\ndef f(x: cottage.blueprint.Blueprint): ...",
    ],
)
def test_signatures_with_the_root_blueprint(planted: Planted, text: str) -> None:
    assert planted("signatures", {**BLUEPRINT, "training/learner.py": text}) == (1, ["training/learner.py:2"])


def test_signatures_where_the_root_blueprint_may_be_taken(planted: Planted) -> None:
    text = "from cottage.blueprint import Blueprint\ndef f(x: Blueprint): ..."
    rooms = ("api.py", "cli/train.py", "training/assemble.py", "studies/sweep.py", "blueprint/load.py")
    assert planted("signatures", {**BLUEPRINT, **dict.fromkeys(rooms, text)}) == (0, [])
    own = "class Blueprint: ...\ndef f(x: Blueprint): ..."
    assert planted("signatures", {**BLUEPRINT, "training/plan.py": own}) == (0, []), "another class of that name"
    given = "from cottage.blueprint import Blueprint\ndef f(x: int) -> Blueprint: ..."
    assert planted("signatures", {**BLUEPRINT, "training/plan.py": given}) == (0, []), "it is returned, not taken"


@pytest.mark.parametrize(
    "text",
    [
        "from cottage.zoo import Bird\nisinstance(x, Bird)",
        "from cottage.zoo.base import Duck as D\nisinstance(x, (int, D))",
        "from cottage.zoo import base\nissubclass(x, int | base.Duck)",
        "from cottage.zoo.base import Duck; BIRDS = (Duck, int)\nisinstance(x, BIRDS)",
        "from cottage.zoo.base import Wings\nisinstance(x, Wings)",
        "from cottage.zoo.base import Duck\nmatch x:\n    case Duck(): ...",
    ],
)
def test_questions_for_a_kind(planted: Planted, text: str) -> None:
    line = 3 if "match" in text else 2
    assert planted("isinstance", {**KINDS, "training/learner.py": text}) == (1, [f"training/learner.py:{line}"])


def test_questions_that_are_allowed(planted: Planted) -> None:
    own = "from cottage.zoo import Bird\nisinstance(x, Bird)"
    family = "from cottage.zoo import Animal\nisinstance(x, (Animal, int))"
    assert planted("isinstance", {**KINDS, "zoo/care.py": own, "training/loop.py": family}) == (0, [])


def test_collectors_are_kinds_of_their_own_folder(planted: Planted) -> None:
    files = {
        "training/collect/base.py": "class Collector: ...",
        "training/collect/act.py": "from .base import Collector\nclass Acting(Collector): ...\nisinstance(x, Acting)",
        "training/loop.py": "from cottage.training.collect.act import Acting\nisinstance(x, Acting)",
    }
    assert planted("isinstance", files) == (1, ["training/loop.py:2"])


def test_long_files_and_long_functions(planted: Planted) -> None:
    assert planted("files", {"a.py": "x = 1\n" * 300, "b.py": "x = 1\n" * 301}) == (1, ["b.py:301"])
    long, short = "def long():\n" + "    x = 1\n" * 40, "async def short():\n" + "    x = 1\n" * 39
    files = {"a.py": short + long, "b.py": f"@decorated\n{short}"}
    assert planted("functions", files) == (2, ["a.py:41", "b.py:2"])


def test_lines(planted: Planted) -> None:
    assert planted("lines", {"a.py": "x = 1\n" * 7, "b/__init__.py": "x = 1\n" * 2})[0] == 10
