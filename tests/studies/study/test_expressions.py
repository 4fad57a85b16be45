"""``${...}`` computes over axes and settings, keeps TOML's types, and reaches nothing else."""

from __future__ import annotations

import math
import threading
from fractions import Fraction
from typing import Any

import omegaconf
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from composer.blueprint.syntax.nodes import Node, annotate, read_path
from composer.spec.wording import INTEGERS
from composer.studies.study.arithmetic import OPERATIONS, WrongExpression, calculate
from composer.studies.study.expressions import evaluate
from composer.studies.study.scope import MAX_CHAIN, Scope

AXES = {"width": 512, "ratio": 0.5, "resets": True, "optimizer": "adam", "hostile": "oc.env", "name": "width"}


# OmegaConf 2.4 has another name for it.
register = getattr(OmegaConf, "register_resolver" if "2.4" <= omegaconf.__version__ else "register_new_resolver")


def entries(settings: dict[str, Any]) -> dict[Any, Node]:
    return {read_path(key): annotate(value, {}, "study.toml") for key, value in settings.items()}


def scope_of(settings: dict[str, Any]) -> Scope:
    return Scope(AXES, entries(settings))


def value(text: str, **others: Any) -> object:
    """The value of ``text``, set at ``networks.actor.trunk.width`` beside ``others``; a string for a problem."""
    settings = {"networks.actor.trunk.width": text, **others}
    scope = scope_of(settings)
    found = scope.value(("networks", "actor", "trunk", "width"), annotate(text, {}, "study.toml"))
    return found if found is not None else [each.message for each in scope.problems.values()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${axis.width}", 512),
        ("${axis.resets}", True),
        ("${axis.ratio}", 0.5),
        ("${axis[width]}", 512),
        ("${axis.${axis.name}}", 512),
        ("${div:${axis.width},4}", 128),
        ("${div:513,4}", 128.25),
        ("${div:1024.0,4}", 256.0),
        ("${floordiv:513,4}", 128),
        ("${mod:513,4}", 1),
        ("${pow:2,10}", 1024),
        ("${pow:4,-0.5}", 0.5),
        ("${pow:2,-1}", 0.5),
        ("${add:1,2,3.5}", 6.5),
        ("${mul:2,${axis.width}}", 1024),
        ("${sub:1,${axis.ratio}}", 0.5),
        ("${min:3,${axis.width}}", 3),
        ("${max:3,${axis.width},4.0}", 512),
        ("${round:2.5}", 2),
        ("${round:0.1234,2}", 0.12),
        ("${floor:2.9}", 2),
        ("${ceil:2.1}", 3),
        ("simba-${axis.width}-${axis.resets}-${axis.ratio}", "simba-512-true-0.5"),
        ("${axis.optimizer}", "adam"),
        ("\\${values.width}", "${values.width}"),
        ("yes", "yes"),
        ("010", "010"),
        ("x${add:1,1}", "x2"),
    ],
)
def test_value_and_type_of_an_expression(text: str, expected: object) -> None:
    found = value(text)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HOME}",
        "${oc.env:HOME,nothing}",
        "${${axis.hostile}:HOME}",
        "${${axis.hostile}:${axis.optimizer}}",
        "${oc.${axis.optimizer}:HOME}",
        "${oc.create:{a:1}}",
        "${oc.decode:'${axis.width}'}",
        "${oc.select:axis.width}",
        "${oc.dict.keys:axis}",
        "${oc.deprecated:axis.width}",
        "${hydra:runtime.cwd}",
        "${env:HOME}",
        "${mine:1}",
        "${add:${oc.env:HOME},1}",
        "prefix-${oc.env:HOME}",
        "${axis.${oc.env:HOME}}",
        "${eval:1}",
        "${now:%Y}",
    ],
)
def test_no_resolver_but_arithmetic_is_reached(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "secret")
    register("mine", lambda *_: pytest.fail("a resolver of the process was called"), replace=True)
    try:
        assert OmegaConf.to_container(OmegaConf.create({"a": "${oc.env:HOME}"}), resolve=True) == {"a": "secret"}
        (message,) = value(text)  # type: ignore[misc]
        assert message == "a study file has arithmetic alone, and no other resolver"
    finally:
        OmegaConf.clear_resolver("mine")


def test_the_resolvers_of_the_process_neither_count_nor_change() -> None:
    register("div", lambda *_: "theirs", replace=True)
    try:
        before = dict(BaseContainer._resolvers)
        assert value("${div:512,4}") == 128
        assert OmegaConf.create({"a": "${div:512,4}"}).a == "theirs"
        assert BaseContainer._resolvers == before
    finally:
        OmegaConf.clear_resolver("div")
    assert not any(OmegaConf.has_resolver(name) for name in OPERATIONS)


def test_relative_and_absolute_names_of_settings() -> None:
    others = {"networks.critic.trunk.width": "${axis.width}", "networks.actor.trunk.depth": 3, "seeds": [7, 8]}
    assert value("${.depth}", **others) == 3
    assert value("${...critic.trunk.width}", **others) == 512
    assert value("${set.networks.critic.trunk.width}", **others) == 512
    assert value("${div:${...critic.trunk.width},${.depth}}", **others) == 512 / 3
    assert value("${set.seeds[1]}", **others) == 8
    assert value("${set.seeds}", **others) == [7, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${axis.widht}", 'no axis named "widht"'),
        ("${width}", 'there is no "width"'),
        ("${axis}", "names all axes; name one, as in ${axis.width}"),
        ("${set}", '"" is a table; name a value in it'),
        ("${set.networks}", '"networks" is a table; name a value in it'),
        ("${set.nothing}", 'nothing sets "nothing"'),
        ("${.width}", "names itself: networks.actor.trunk.width → networks.actor.trunk.width"),
        ("${......x}", "6 dots lead out of the study"),
        ("${axis.${axis.width}}", "a name within a name must be a string, got integer 512"),
        ("${div:1,0}", "div divides by zero"),
        ("${mod:1.5,0}", "mod divides by zero"),
        ("${pow:0,-1}", "pow divides by zero"),
        ("${pow:10,1000000000}", "pow leads beyond the largest number"),
        ("${pow:10.0,1000}", "pow leads beyond the largest number"),
        ("${pow:-8,0.5}", "-8 to the power of 0.5 is no real number"),
        ("${mul:9223372036854775807,2}", "an integer of mul must be in -2^63 to 2^63-1"),
        ("${add:1,inf}", "a number of add must be finite, got inf"),
        ("${add:1,nan}", "a number of add must be finite, got nan"),
        ("${add:1}", "add takes 2 to 64 numbers, got 1"),
        ("${div:1,2,3}", "div takes 2 numbers, got 3"),
        ("${add:1,true}", "add takes numbers, got boolean true"),
        ("${add:1,yes}", 'add takes numbers, got string "yes"'),
        ("${add:1,null}", "add takes numbers, got nothing"),
        ("${add:1,}", 'add takes numbers, got string ""'),
        ("${add:1,[2]}", "add takes numbers, got list"),
        ("${add:1,{a:2}}", "add takes numbers, got table"),
        ("${round:1.5,-1}", "round takes 0 to 15 decimal places, got integer -1"),
        ("${}", "is no expression"),
        ("${", "is no expression"),
        ("${axis.width", "is no expression"),
        ("${axis.width}}${", "is no expression"),
        ("${axis.width:}", "a study file has arithmetic alone, and no other resolver"),
        ("${add:" * 40 + "1,1}" * 40, "more than 32 references in one text"),
        ("${add:1," + "[" * 1_500 + "]" * 1_500 + "}", "is no expression"),
    ],
)
def test_what_is_wrong_with_an_expression(text: str, message: str) -> None:
    assert value(text) == [message]


def test_hints_name_what_was_meant() -> None:
    for text, hint in (
        ("${axis.widht}", "did you mean 'width'?"),
        ("${width}", "did you mean 'axis.width'?"),
        ("${dvi:1,2}", "did you mean 'div'?"),
        ("${set.networks.critic.trunk.wdith}", "did you mean 'networks.critic.trunk.width'?"),
    ):
        settings = {"x": text, "networks.critic.trunk.width": 1}
        scope = scope_of(settings)
        assert scope.value(("x",), entries(settings)[("x",)]) is None
        assert [each.hint for each in scope.problems.values()] == [hint]


def test_a_chain_of_settings_is_followed_as_far_as_the_bound_and_a_loop_is_told_once() -> None:
    def last(length: int) -> Scope:
        settings = {f"k{index}": f"${{set.k{index + 1}}}" for index in range(length)} | {f"k{length}": 5}
        scope = scope_of(settings)
        scope.value(("k0",), entries(settings)[("k0",)])
        return scope

    assert not last(MAX_CHAIN).problems
    assert [each.message for each in last(MAX_CHAIN + 1).problems.values()] == [
        f"more than {MAX_CHAIN} settings lead to its value"
    ]
    settings = {"a": "${set.b}", "b": "${set.c}", "c": "${set.b}", "d": "${set.a}"}
    scope, nodes = scope_of(settings), entries(settings)
    assert [scope.value(path, node) for path, node in nodes.items()] == [None] * 4
    assert [each.message for each in scope.problems.values()] == ["names itself: b → c → b"]


def test_texts_that_double_each_other_stay_small() -> None:
    settings = {f"k{index}": f"${{set.k{index + 1}}}" * 8 for index in range(20)} | {"k20": "x" * 8}
    scope, nodes = scope_of(settings), entries(settings)
    values = [scope.value(path, node) for path, node in nodes.items()]
    assert max(len(each) for each in values if isinstance(each, str)) <= 1_000
    assert [each.message for each in scope.problems.values()] == ["makes a text of 4,096 characters; limit 1,000"]


NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6, allow_subnormal=False)


@given(NUMBERS, NUMBERS)
@example(512, 4)
@example(-7, 2)
def test_arithmetic_is_exact_on_integers_and_pythons_on_floats(one: int | float, other: int | float) -> None:
    assert calculate("add", [one, other]) == one + other
    assert calculate("sub", [one, other]) == one - other
    assert calculate("mul", [one, other]) == one * other
    assert calculate("min", [one, other]) == min(one, other)
    if abs(other) > 1e-6:
        quotient = calculate("div", [one, other])
        if isinstance(one, int) and isinstance(other, int):
            exact = Fraction(one, other)
            assert isinstance(quotient, int) == (exact.denominator == 1)
            assert quotient == (int(exact) if exact.denominator == 1 else one / other)
            assert calculate("floordiv", [one, other]) == math.floor(exact)
        else:
            assert quotient == one / other


@given(st.text(alphabet="${}:,.[]'\"\\ axisdvnwthe012_-\u00e9\t", max_size=60))
@example("${axis.width}${")
@example("\\\\${axis.width}")
def test_no_text_makes_anything_but_a_value_or_a_problem(text: str) -> None:
    def find(dots: int, steps: Any) -> object:
        raise WrongExpression("unknown")

    try:
        found = evaluate(text, find)
    except WrongExpression:
        return
    assert isinstance(found, bool | int | float | str)
    assert not isinstance(found, int) or found in INTEGERS


def test_threads_evaluate_side_by_side() -> None:
    wrong = []

    def work(number: int) -> None:
        for count in range(50):
            if evaluate(f"${{add:{number},{count}}}", lambda dots, steps: 0) != number + count:
                wrong.append((number, count))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
