"""Where interventions act: globs in order, the last layers; what matches nothing is told with what was meant."""

from __future__ import annotations

from tiny_runs import learner

from composer.interventions import LastLayers, Paths

OUTLINES = learner().outlines


def names(places: tuple[tuple[str, str], ...]) -> list[str]:
    return [".".join(place) for place in places]


def test_the_last_glob_that_matches_decides() -> None:
    assert names(Paths(globs=["critic.head.*"]).select(OUTLINES)) == [
        "critic.head.linear.weight",
        "critic.head.linear.bias",
    ]
    weights = names(Paths(globs=["critic.*", "!*.bias", "critic.head.linear.bias"]).select(OUTLINES))
    assert "critic.head.linear.bias" in weights and "critic.trunk.0.bias" not in weights
    assert names(Paths(globs=["temperature.*"]).select(OUTLINES)) == ["temperature.value"]
    assert len(Paths(globs=["*"]).select(OUTLINES)) == sum(len(list(o.named_parameters())) for o in OUTLINES.values())


def test_last_layers_are_counted_from_the_output() -> None:
    one, two, three = (names(LastLayers(of="critic", count=n).select(OUTLINES)) for n in (1, 2, 3))
    assert one == ["critic.head.linear.weight", "critic.head.linear.bias"]
    assert [name for name in two if name not in one] == [
        "critic.trunk.1.0.block.3.weight",
        "critic.trunk.1.0.block.3.bias",
    ]
    assert len(three) == 6, "layer norms are not layers"


def test_misses_are_told() -> None:
    ((key, message),) = Paths(globs=["critic.head.*", "critik.head.*"]).problems(OUTLINES)
    assert (
        key == "globs[1]"
        and "matches no parameter (composer show --paths lists them); did you mean 'critic.*'?" in message
    )
    assert [m for _, m in LastLayers(of="critc", count=1).problems(OUTLINES)] == [
        "no network named 'critc'; did you mean 'critic'?"
    ]
    assert [m for _, m in LastLayers(of="critic", count=9).problems(OUTLINES)] == ["'critic' has 4 layers"]
    assert list(Paths(globs=["*"]).problems(OUTLINES)) == []
