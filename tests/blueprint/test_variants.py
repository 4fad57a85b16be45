"""Variants combine in order; what two of them would have differently is an error; ``with`` says which one holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from composer.blueprint import BlueprintError, Loaded, check, diff, digest, dump, load, loads_resolved

FILE = """\
extends = "dmc/sac_simba"
name = "mine"
[averages]
slow = { of = "critic", momentum = 0.5 }
[variants.small]
networks.critic.trunk.width = 32
replay.capacity = 9_000
[variants.clipped]
networks.critic.copies = 2
[variants.large]
networks.critic.trunk.width = 64
[variants.same]
networks.critic.trunk.width = 32
[variants.tiny]
with = ["small"]
networks.critic.trunk.width = 16
[variants.settled]
with = ["small", "large"]
networks.critic.trunk.width = 48
[variants.unsettled]
with = ["small", "large"]
[variants.mlp]
networks.critic.trunk = { use = "mlp", width = 32, depth = 2 }
[variants.sgd]
optimizers.critic = { kind = "adam", learning_rate = 1e-4 }
[variants.slower]
optimizers.critic.learning_rate = 1e-4
[variants.decayed]
optimizers.critic.weight_decay = 0.5
[variants.fast]
remove = ["averages.slow"]
[variants.fast_too]
remove = ["averages.slow"]
[variants.slow_still]
averages.slow.momentum = 0.9
[variants.all_slow_ones]
remove = ["averages"]
[variants.slow_ones]
remove = ["averages"]
averages.target_critic = { of = "critic", momentum = 0.99 }
[variants.set_anew]
with = ["slow_ones"]
remove = ["averages.target_critic"]
averages.target_critic = { of = "critic", momentum = 0.99 }
[variants.again]
with = ["set_anew"]
remove = ["averages.target_critic"]
[variants.two]
seeds = [0, 1]
[variants.three]
seeds = [0, 1, 2]
[variants.first]
seeds = [3, 4, 5]
[variants.without_0]
with = ["three"]
remove = ["seeds[0]"]
[variants.without_1]
with = ["three"]
remove = ["seeds[1]"]
[variants.without_0_too]
with = ["three"]
remove = ["seeds[0]"]
[variants.last]
with = ["without_0"]
remove = ["seeds[0]"]
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(FILE)
    return Path("mine.toml")


def mine(variant: str | None) -> Loaded:
    return load("mine.toml", (), variant, is_to_run=False)


def width(variant: str) -> int:
    found: int = mine(variant).resolved["networks"]["critic"]["trunk"]["layers"][0]["width"]
    return found


def said(variant: str) -> list[str]:
    with pytest.raises(BlueprintError) as caught:
        mine(variant)
    return str(caught.value).splitlines()


def line_of(text: str) -> int:
    return FILE.splitlines().index(text) + 1


def test_variants_combine() -> None:
    """The fault: of two variants the first was dropped without a word."""
    both = mine("small+clipped")
    assert (width("small+clipped"), both.blueprint.networks["critic"].copies, both.variant) == (32, 2, "small+clipped")
    assert both.blueprint == mine("clipped+small").blueprint
    assert width("small+same") == width("same+small") == 32, "equal values are no conflict"


@pytest.mark.parametrize(
    ("variant", "key", "first", "second"),
    [
        ("small+large", "networks.critic.trunk.width", "[variants.small]", "[variants.large]"),
        ("large+small", "networks.critic.trunk.width", "[variants.large]", "[variants.small]"),
        ("clipped+small+large", "networks.critic.trunk.width", "[variants.small]", "[variants.large]"),
        ("large+tiny", "networks.critic.trunk.width", "[variants.large]", "[variants.tiny]"),
        ("tiny+settled", "networks.critic.trunk.width", "[variants.tiny]", "[variants.settled]"),
        ("large+mlp", "networks.critic.trunk.width", "[variants.large]", "[variants.mlp]"),
        ("decayed+sgd", "optimizers.critic.weight_decay", "[variants.decayed]", "[variants.sgd]"),
        ("two+three", "seeds", "[variants.two]", "[variants.three]"),
        ("fast+slow_still", "averages.slow", "[variants.fast]", "[variants.slow_still]"),
        ("slow_still+fast", "averages.slow", "[variants.slow_still]", "[variants.fast]"),
        ("all_slow_ones+slow_still", "averages", "[variants.all_slow_ones]", "[variants.slow_still]"),
        ("without_0+without_1", "seeds[1]", "[variants.without_0]", "[variants.without_1]"),
        ("first+without_0", "seeds", "[variants.first]", "[variants.three]"),
    ],
)
def test_what_two_variants_would_have_differently(variant: str, key: str, first: str, second: str) -> None:
    """The key, both variants and both lines."""
    lines = said(variant)
    (line,) = [each for each in lines if f": {key}: variant " in each][:1]
    names = [text.removeprefix("[variants.").rstrip("]") for text in (first, second)]
    assert f"variant {names[1]} " in line and f"but variant {names[0]} " in line
    here, there = (
        int(part.split(":")[0]) for part in (line.removeprefix("mine.toml:"), line.split(" at mine.toml:")[1])
    )
    starts = [line_of(text) for text in (first, second)]
    assert starts[0] < there <= starts[0] + 3 and starts[1] < here <= starts[1] + 3
    assert line.endswith(f'a variant that names both, with = ["{names[0]}", "{names[1]}"], may set the key itself')


def test_a_variant_lies_over_those_that_it_names() -> None:
    assert (width("tiny"), mine("tiny").resolved["replay"]["capacity"]) == (16, 9_000)
    assert width("tiny+small") == width("small+tiny") == width("small+tiny+clipped") == 16
    assert width("settled") == 48, "it names both and sets the key itself"
    assert any("variant large sets" in line for line in said("unsettled"))
    assert mine("slower+sgd").blueprint == mine("sgd+slower").blueprint
    assert mine("sgd+slower").variant == "sgd+slower"


def test_removals_of_a_combination() -> None:
    assert "slow" not in mine("fast+fast_too").blueprint.averages, "both agree"
    for variant in ("fast+slow_ones", "slow_ones+fast"):
        assert [each.key for each in mine(variant).removals][:1] == [mine(variant.split("+")[0]).removals[0].key]
        assert list(mine(variant).blueprint.averages) == ["target_critic"]
    assert mine("without_0").blueprint.seeds == mine("without_0+without_0_too").blueprint.seeds == (1, 2)
    assert mine("set_anew").blueprint.averages["target_critic"].momentum.bounds() == (0.99, 0.99)
    assert mine("slow_ones+set_anew").blueprint == mine("set_anew").blueprint
    assert mine("last").blueprint.seeds == (2,), "the numbers of a list are those that the named variants left"


def test_what_a_named_variant_sets_anew_can_be_removed_again() -> None:
    (line,) = said("again")
    assert "SAC needs an average 'target_critic'" in line and "(variant again)" in line


WITH = "[variants.a]\nwith = {a}\n[variants.b]\nwith = {b}\n[variants.c]\n"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ('["b"]', '["a"]', ["variants.a.with: variants name each other: a → b → a"]),
        ('["a"]', "[]", ["variants.a.with: variants name each other: a → a"]),
        ('["c"]', '["b", "a"]', ["variants.b.with: variants name each other: b → b"]),
        (
            '["d"]',
            '["c", "cc"]',
            ["variants.a.with[0]: no variant named 'd'", "variants.b.with[1]: no variant named 'cc'"],
        ),
        ("[3]", "[]", ["variants.a.with[0]: no variant named integer 3"]),
        ('"b"', "[]", ['variants.a.with: expected list of variants, got string "b"']),
    ],
)
def test_with_that_is_wrong(a: str, b: str, expected: list[str]) -> None:
    """All of it at once, whether a variant is chosen or not."""
    path = Path("wrong.toml")
    path.write_text('extends = "quickstart"\nname = "wrong"\n' + WITH.format(a=a, b=b))
    found = [str(each) for each in check(path)]
    assert len(found) == len(expected)
    assert all(each in line for each, line in zip(expected, found, strict=True))
    with pytest.raises(BlueprintError):
        load(path)


def test_the_blueprint_itself_is_called_base() -> None:
    path = Path("wrong.toml")
    path.write_text('extends = "quickstart"\nname = "wrong"\n[variants.base]\nseeds = [1]\n')
    (found,) = check(path)
    assert "'base' is the blueprint without a variant" in found.message


def test_many_variants_that_name_each_other_take_no_time() -> None:
    lines = ['extends = "quickstart"', 'name = "wrong"', "[variants.v0]"]
    for number in range(1, 64):
        before = [f"v{each}" for each in range(max(0, number - 3), number)]
        lines += [f"[variants.v{number}]", f"with = {before}"]
    Path("many.toml").write_text("\n".join(lines))
    assert len(load("many.toml", (), "v63").variants) == 64


def test_the_order_of_interventions_is_part_of_the_experiment() -> None:
    """Those that are due together fire in the order of their variants: neither ``diff`` nor the digest may miss it."""
    use = "{{ use = 'hare_and_tortoise', interval = 9, clock = 'update', where = ['{0}.*'], average = '{1}' }}"
    averages = "[averages]\ntarget_actor = { of = 'actor', momentum = 0.5 }\n"
    lines = ['extends = "quickstart"', 'name = "order"', averages]
    for name, role in (("a", "actor"), ("b", "critic")):
        lines += [f"[variants.{name}]", f"interventions.{name} = {use.format(role, f'target_{role}')}"]
    Path("order.toml").write_text("\n".join(lines))
    one, other = (load("order.toml", (), each, is_to_run=False).blueprint for each in ("a+b", "b+a"))
    assert (list(one.interventions), list(other.interventions)) == (["a", "b"], ["b", "a"])
    (found,) = diff(one, other)
    assert (found.key, found.left, found.right) == ("interventions", "a, b", "b, a")
    assert digest(one) != digest(other)
    assert loads_resolved(tomllib.loads(dump(other))) == other
    assert digest(loads_resolved(tomllib.loads(dump(other)))) == digest(other)
