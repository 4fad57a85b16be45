"""Call trees as source: what is printed evaluates to what the tree makes, laid out as the formatter would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.blueprint.inspect.eject.expression import expression
from composer.blueprint.inspect.eject.notes import grouped
from composer.spec.lazy_call import LazyCall, call


class Recorded:
    """What a function was called with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.said = repr((args, kwargs))

    def __repr__(self) -> str:
        return self.said


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10**6), st.floats(allow_nan=False), st.text(max_size=20), st.just(1.0)
)
calls: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda args, item: LazyCall("t:Recorded", (*args,), {"x": item}), st.lists(inner, max_size=5), inner),
        st.builds(lambda value, count: LazyCall("t:Recorded", (value,) * count), inner, st.integers(1, 4)),
        st.builds(lambda value, count: [LazyCall("t:Recorded", (value,))] * count, inner, st.integers(0, 4)),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    max_leaves=25,
)  # fmt: skip


def made(value: Any) -> Any:
    if isinstance(value, LazyCall):
        return Recorded(*map(made, value.args), **{key: made(item) for key, item in value.kwargs.items()})
    if isinstance(value, dict):
        return {key: made(item) for key, item in value.items()}
    return type(value)(map(made, value)) if isinstance(value, list | tuple) else value


@settings(max_examples=200, deadline=None, derandomize=True)
@given(value=calls)
def test_the_text_evaluates_to_what_the_tree_makes(value: Any) -> None:
    text = expression(value, lambda target: target.partition(":")[2], 4, "return ")
    assert text.startswith("    return ")
    assert repr(eval(f"({text.strip().removeprefix('return ')})", {"Recorded": Recorded})) == repr(made(value))


def test_the_formatter_changes_nothing(tmp_path: Path) -> None:
    linear = call("torch.nn:Linear", 111_111_111, 222_222_222, bias=True)
    short = call("torch.nn:Linear", 3, 4)
    deep = call("torch.nn:Sequential", linear, linear, call("torch.nn:ReLU"), linear)
    trees = [
        linear,
        deep,
        call("x:Skip", deep),
        call("x:Skip", block=deep),
        call("torch.nn:Sequential", *[call("x:Skip", deep)] * 3),
        call("torch.nn:Sequential", *[call("x:Skip", short)] * 2),
        call("torch.nn:Sequential", short, *[call("x:Skip", deep)] * 2, short),
        call("torch.nn:Sequential", short, *[call("x:Skip", deep)] * 3, short),
        call("x:Parallel", [deep, linear], "sum", axis=-1),
        call("x:Parallel", [call("x:Skip", deep)] * 2, "sum"),
        call("x:Parallel", [call("x:Skip", deep)]),
        call("x:Conv", (1, 2), (3,), (), pads={"a": 1, "b": [1.5, float("inf")]}, text="it's"),
        call("x:Table", {f"key_{number}": [short, linear] for number in range(3)}),
        call("x:Tuple", (linear, linear, linear)),
    ]
    names = {"torch.nn": "nn.", "x": ""}

    def named(target: str) -> str:
        return names[target.partition(":")[0]] + target.partition(":")[2]

    text = "\n\n\n".join(
        f"def f{number}():\n{expression(tree, named, 4, 'return ')}" for number, tree in enumerate(trees)
    )
    path = tmp_path / "printed.py"
    path.write_text(text + "\n")
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "120", "--diff", str(path)]
    done = subprocess.run(ruff, capture_output=True, text=True, timeout=3_600)
    assert done.returncode == 0, done.stdout
    assert "*[Skip(nn.Linear(3, 4)) for _ in range(2)]" in text


@pytest.mark.parametrize("value", [object(), {1}, b"x"])
def test_what_is_no_plain_value_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="a call's argument is a plain value"):
        expression(call("x:X", value), str, 0)


@pytest.mark.parametrize(
    ("paths", "reported"),
    [
        (["a.0.w", "a.1.w", "b.w"], ["a.{0,1}.w", "b.w"]),
        ([f"a.{i}.b.{j}.w" for i in range(4) for j in (0, 2)], ["a.{0..3}.b.{0,2}.w"]),
        (["0.w", "10.w", "1.0.w", "2.1.w"], ["{0,10}.w", "1.0.w", "2.1.w"]),
        (["a1.w", "a2.w", "head.weight"], ["a1.w", "a2.w", "head.weight"]),
    ],
)
def test_paths_that_differ_in_indices_are_shown_as_one(paths: list[str], reported: list[str]) -> None:
    assert grouped(paths) == reported
