"""Whatever stands in a file or on the command line: exit code 0 or 2, no traceback, at most two seconds."""

from __future__ import annotations

import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from composer.blueprint import BlueprintError, check, load
from composer.blueprint.syntax.overrides import read_overrides
from composer.cli import app, running
from composer.spec import builtin_kinds as kinds
from composer.spec.family import FAMILIES
from composer.spec.package_files import blueprint_files, blueprints_root, registry_root

LIMIT = 2.0
"""Seconds of processor time that any one text may take."""
SHIPPED = [path.read_text(encoding="utf-8") for path in blueprint_files()]
PARTS = [path.read_text(encoding="utf-8") for path in sorted(registry_root().rglob("*.toml"))]

kinds.register()
WORDS = [
    *(
        "blueprint",
        "name",
        "seeds",
        "values",
        "variants",
        "extends",
        "requires",
        "networks",
        "actor",
        "critic",
        "trunk",
    ),
    *("head", "algorithm", "environment", "optimizers", "averages", "of", "momentum", "training", "env_steps", "part"),
    *("kind", "use", "width", "block", "layers", "times", "family", "parameters", "description", "source", "simba"),
    *(kind for family in FAMILIES.values() for kind in family.kinds()),
]
many = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
some = settings(many, max_examples=40)
"""For whole commands, which check what the other tests check many times, and take ten times as long."""


def checked(path: Path, data: bytes) -> None:
    """The file is sound, or every problem is a line that can be read; in time."""
    path.write_bytes(data)
    start = time.process_time()
    problems = check(path)
    assert time.process_time() - start < LIMIT
    for problem in problems:
        assert problem.line >= 1 and problem.column >= 1
        assert problem.message and str(problem).isprintable()
        assert len(str(problem)) < len(str(path)) + 2_000


_SPACE = st.sampled_from(["", " ", "\t", "  "])
_BARE = st.sampled_from(WORDS) | st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
_KEY = _BARE | _BARE.map(lambda key: f'"{key}"') | st.text(max_size=6).map(lambda key: f'"{key}"')
_DOTTED = st.lists(_KEY, min_size=1, max_size=4).map(".".join)
_NUMBERS = (
    st.integers().map(str) | st.floats().map(str) | st.sampled_from(["1e999", "-0.0", "0x7f", "0b2", "1__0", "9" * 400])
)
_STRINGS = st.sampled_from(WORDS).map(lambda word: f'"{word}"') | st.text(max_size=12).map(lambda text: f'"{text}"')
_REFERENCES = _DOTTED.map(lambda path: f'"${{{path}}}"')
_SCALARS = (
    _NUMBERS
    | _STRINGS
    | _REFERENCES
    | st.sampled_from(["true", "1979-05-27", "07:32:00", "'''x\n'''", '"""\n"""', "x"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(_KEY, inner), max_size=4).map(
            lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"
        )
    ),
    max_leaves=10,
)
_LINES = st.one_of(
    st.tuples(_DOTTED, _SPACE, _VALUES).map(lambda line: f"{line[0]}{line[1]}= {line[2]}"),
    _DOTTED.map(lambda path: f"[{path}]"),
    _DOTTED.map(lambda path: f"[[{path}]]"),
    st.text(max_size=20).map(lambda text: f"# {text}"),
)
TOML_LIKE = st.lists(_LINES, max_size=30).map("\n".join)


@many
@given(data=st.binary(max_size=600) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(data: bytes, tmp_path: Path) -> None:
    checked(tmp_path / "b.toml", data)


@many
@given(text=TOML_LIKE)
def test_anything_like_toml(text: str, tmp_path: Path) -> None:
    checked(tmp_path / "b.toml", text.encode("utf-8", "surrogatepass"))


@many
@given(data=st.data())
def test_any_splices_of_shipped_files(data: Any, tmp_path: Path) -> None:
    text = data.draw(st.sampled_from(SHIPPED + PARTS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 40))
        other = data.draw(st.sampled_from(SHIPPED + PARTS))
        start = data.draw(st.integers(0, len(other)))
        piece = data.draw(_LINES | _VALUES | st.just(other[start : start + data.draw(st.integers(0, 200))]))
        text = text[:at] + piece + text[at + length :]
    checked(tmp_path / "b.toml", text.encode("utf-8", "surrogatepass"))


@many
@given(data=st.data())
def test_any_order_of_the_lines_of_a_shipped_file(data: Any, tmp_path: Path) -> None:
    lines = data.draw(st.sampled_from(SHIPPED)).split("\n")
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=len(lines)))
    checked(tmp_path / "b.toml", "\n".join(chosen).encode())


_PATHS = st.sampled_from(
    ["seeds", "seeds[0]", "name", "networks.critic.trunk.width", "networks.critic.trunk", "networks[0]", "values.width",
     "algorithm.discount", "optimizers.actor", "training", "training.env_steps", "variants.small.x", "extends",
     "requires", "a" * 1_900, ".".join("a" * 950), "a" + "[9]" * 600, "seeds[999999999]", 'networks."x y".trunk']
)  # fmt: skip
_TEXTS = st.one_of(
    st.text(max_size=80),
    st.builds("~{}".format, _PATHS | _DOTTED | st.text(max_size=40)),
    st.tuples(_PATHS | _DOTTED, _VALUES | st.text(max_size=40) | st.sampled_from(["[" * 1_900, "[" * 300 + "]" * 300]))
    .map("=".join),
)  # fmt: skip


@many
@given(
    texts=st.lists(_TEXTS, max_size=4),
    variant=st.none()
    | st.text(max_size=80)
    | st.lists(st.sampled_from(["small", "smal", "clipped", ""])).map("+".join),
)
def test_any_overrides_and_variants(texts: list[str], variant: str | None) -> None:
    start = time.process_time()
    try:
        load(blueprints_root() / "dmc" / "sac_simba.toml", texts, variant)
    except BlueprintError as error:
        assert all(str(problem).isprintable() and len(str(problem)) < 4_000 for problem in error.problems)
    assert time.process_time() - start < LIMIT


_REMOVABLE = ["replay", "replay.capacity", "networks.critic.trunk.width", "networks.critic.trunk", "seeds[0]", "none"]


@many
@given(
    removed=st.just([]) | st.lists(_PATHS | _DOTTED | st.text(max_size=40), max_size=4),
    variants=st.dictionaries(
        st.sampled_from("abcd"),
        st.fixed_dictionaries(
            {},
            optional={
                "with": st.lists(st.sampled_from("abcde"), max_size=3),
                "remove": st.lists(st.sampled_from(_REMOVABLE), max_size=2, unique=True),
                "seeds": st.sampled_from([[0], [1], []]),
                "networks": st.sampled_from([{}, {"critic": {}}, {"critic": {"trunk": {"width": 8}}}, {"critic": 3}]),
            },
        ),
        max_size=4,
    ),
    chosen=st.lists(st.sampled_from("abcd"), max_size=3),
)
def test_any_removals_and_combinations(
    removed: list[str], variants: dict[str, Any], chosen: list[str], tmp_path: Path
) -> None:
    """Whatever a combination is, it is loaded as one name, or refused in words; and its order changes no value."""
    table = {"extends": "dmc/sac_simba", "name": "any", "remove": removed, "variants": variants}
    path = tmp_path / "any.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8", errors="replace")
    found = []
    for names in (chosen, chosen[::-1]):
        start = time.process_time()
        try:
            found.append(load(path, (), "+".join(names) or None, is_to_run=False).blueprint)
        except BlueprintError as error:
            assert all(str(problem).isprintable() and len(str(problem)) < 4_000 for problem in error.problems)
            found.append(None)
        assert time.process_time() - start < LIMIT
    assert found[0] == found[1]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs ``composer``: its exit code and all that it says. What is sound is not trained."""
    result = {"returns": {}, "final_return": 0.0, "env_steps": 0, "seconds": 0.0, "run": "", "notes": []}
    monkeypatch.setattr(running, "guarded", lambda *_: dict(result))

    def invoke(*arguments: str) -> tuple[int, str]:
        start = time.process_time()
        answer = CliRunner().invoke(app, list(arguments))
        assert time.process_time() - start < LIMIT
        assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
        assert "Traceback" not in answer.output
        return answer.exit_code, answer.output

    return invoke


@some
@given(seeds=st.text(max_size=60) | st.lists(st.integers(), max_size=70).map(lambda seeds: ",".join(map(str, seeds))))
def test_any_seeds(seeds: str, command: Callable[..., tuple[int, str]]) -> None:
    code, said = command("train", "quickstart", "--seeds", seeds)
    assert code in (0, 2)
    assert said or code == 0


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (f"0,{2**63 - 1}", f"seeds 0, {2**63 - 1}\n"),
        ("0,70000000", "seeds 0, 70000000\n"),
        ("5-7", "seeds 5 to 7\n"),
        ("5", "seed 5\n"),
    ],
)
def test_the_first_line_names_the_seeds_however_far_apart(
    seeds: str, said: str, command: Callable[..., tuple[int, str]]
) -> None:
    code, reported = command("train", "quickstart", "--seeds", seeds)
    assert code == 0 and f", {said}" in reported


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("", "seeds '': '' is no number or range; write 0-3 or 0,2,5-7"),
        ("0,1,1", "seeds '0,1,1': 1 named twice"),
        ("-1", "'-1' is no number or range; write 0-3 or 0,2,5-7"),
        ("0;1", "'0;1' is no number or range; write 0-3 or 0,2,5-7"),
        ("a", "'a' is no number or range; write 0-3 or 0,2,5-7"),
        ("0.5", "'0.5' is no number or range; write 0-3 or 0,2,5-7"),
        ("0]\nname=[1", r"'0]\nname=[1' is no number or range; write 0-3 or 0,2,5-7"),
        (str(2**63), "9223372036854775808 is above the largest seed, 2^63-1"),
        (",".join(map(str, range(65))), "more than 64 seeds"),
    ],
)
def test_bad_seeds_are_reported(seeds: str, said: str, command: Callable[..., tuple[int, str]]) -> None:
    code, reported = command("train", "quickstart", "--seeds", seeds)
    assert code == 2
    assert said in reported


@some
@given(
    arguments=st.lists(
        st.text(max_size=20) | _TEXTS | st.sampled_from(["quickstart", "--json", "--variant", "-"]), max_size=4
    )
)
@pytest.mark.parametrize("name", ["check", "show"])
def test_any_arguments(name: str, arguments: list[str], command: Callable[..., tuple[int, str]]) -> None:
    assert command(name, *arguments)[0] in (0, 2)


def test_overrides_are_read_without_recursion_into_them() -> None:
    for text in ("a=" + "[" * 1_900, ".".join("a" * 950) + "=1", "a=" + "{a=" * 500):
        with pytest.raises(BlueprintError):
            read_overrides([text])
