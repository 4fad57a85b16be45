"""Figures of networks: nothing overlaps, every block is there once, the same bytes each time, text stays text."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from pydantic import TypeAdapter

from composer.blueprint import Blueprint, load
from composer.blueprint.inspect.diagram import SUFFIXES, UndrawableError, draw, labels, layout
from composer.blueprint.inspect.diagram.columns import COLUMN
from composer.blueprint.inspect.diagram.figure import MAX_BOXES, sketch
from composer.blueprint.inspect.diagram.sketch import Box, Frame, Join, Mark, Sketch, Text, Wire, boxes
from composer.blueprint.inspect.parts_list import try_out
from composer.blueprint.syntax.parts import parts
from composer.networks.blocks import Block
from composer.networks.heads import Head, Scalar
from composer.networks.outline import Outline
from composer.spec.package_files import blueprints_root
from composer.spec.shape import Shape

NESTED = (
    '[{ kind = "residual", block = [{ kind = "layer_norm" }, { kind = "parallel", join = "sum", branches = ['
    '{ kind = "identity" }, '
    '[{ kind = "linear", width = 6 }, { use = "swiglu", width = 4 }, { kind = "linear", width = 6 }],'
    '{ kind = "residual", block = { kind = "frozen", block = { kind = "linear", width = 6 } } }] }] },'
    '{ kind = "parallel", join = "concatenate", branches = [{ kind = "relu" }, { kind = "tanh" }] },'
    '{ kind = "repeat", times = 3, block = { kind = "repeat", times = 2, block = { kind = "linear", width = 12 } } },'
    '{ kind = "repeat", times = 0, block = { kind = "relu" } }]'
)


def quickstart(*overrides: str) -> Blueprint:
    return load(blueprints_root() / "quickstart.toml", overrides).blueprint


def outline(trunk: str) -> Outline:
    return quickstart(f"networks.critic.trunk={trunk}").sound_outlines["critic"]


def network(trunk: Outline) -> Outline:
    """A trunk of any shape under a scalar head."""
    head = Scalar().outline((8,), 1)
    return Outline("network", trunk.input, (), children={"trunk": trunk, "head": head})


def leaves(whole: Outline) -> Iterator[Outline]:
    """Operations as a figure counts them."""
    if not whole.children or whole.layout == "leaf":
        yield whole
    for child in whole.children.values() if whole.layout != "leaf" else ():
        yield from leaves(child)


def crossings(whole: Sketch) -> Iterator[tuple[Box, object]]:
    """Boxes that another box overlaps, or that a wire passes through."""
    found = boxes(whole.elements)
    for one, other in itertools.combinations(found, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        if not (apart or one.y + one.height <= other.y or other.y + other.height <= one.y):
            yield one, other
    for wire in (element for element in whole.elements if isinstance(element, Wire)):
        for (x0, y0), (x1, y1) in itertools.pairwise(wire.points):
            for box in found:
                inside_x = max(x0, x1) > box.x + 0.1 and min(x0, x1) < box.x + box.width - 0.1
                if inside_x and max(y0, y1) > box.y + 0.1 and min(y0, y1) < box.y + box.height - 0.1:
                    yield box, wire


def check(whole: Sketch) -> None:
    """Everything is inside, nothing overlaps, and wires run straight along one axis."""
    assert list(crossings(whole)) == []
    for element in whole.elements:
        points = element.points if isinstance(element, Wire) else [(element.x, element.y)]
        if isinstance(element, Box | Frame):
            points = [*points, (element.x + element.width, element.y + element.height)]
        assert all(-0.01 <= x <= whole.width + 0.01 and -0.01 <= y <= whole.height + 0.01 for x, y in points), element
        if isinstance(element, Wire):
            assert all(x0 == x1 or y0 == y1 for (x0, y0), (x1, y1) in itertools.pairwise(points)), element


@pytest.mark.parametrize("name", [name for name, part in sorted(parts().items()) if part.family == "block"])
def test_every_part_is_laid_out(name: str) -> None:
    trial = try_out(parts()[name])
    assert trial is not None
    check(layout.network(network(trial.outline)))


def test_a_nested_network() -> None:
    whole = outline(NESTED)
    drawn = layout.network(whole)
    check(drawn)
    found = boxes(drawn.elements)
    signs = sorted(element.sign for element in drawn.elements if isinstance(element, Join))
    assert signs == sorted(["+", "+", "+", "×", "concat"])
    times = [element.text for element in drawn.elements if isinstance(element, Text) and element.style == "times"]
    assert times == ["× 3", "× 2"]
    (frozen,) = (box for box in found if box.is_frozen)
    assert (frozen.name, frozen.detail) == ("Linear", "42 frozen")
    # An identity and a repeat of nothing are wires; six equal layers are one box.
    assert len(found) == len(list(leaves(whole))) - 2 - 5


def test_a_residual_path_goes_around_its_branch() -> None:
    whole = layout.network(quickstart().sound_outlines["critic"])
    (join,) = (element for element in whole.elements if isinstance(element, Join))
    skip = next(e for e in whole.elements if isinstance(e, Wire) and len(e.points) == 4)
    start, down, end = skip.points[0], skip.points[1], skip.points[-1]
    branch = [box for box in boxes(whole.elements) if start[1] < box.y < join.y]
    assert [box.name for box in branch] == ["Layer norm", "Linear", "ReLU", "Linear"]
    assert all(down[0] < box.x for box in branch)
    assert end == (join.x - join.width / 2, join.y)
    assert skip.has_head
    assert start[0] == join.x == whole.axis


def test_branches_stand_side_by_side_under_their_names() -> None:
    whole = layout.network(quickstart().sound_outlines["actor"])
    mean, log_std = boxes(whole.elements)[-2:]
    assert (mean.y, mean.name) == (log_std.y, log_std.name)
    assert mean.x + mean.width < log_std.x
    captions = [element.text for element in whole.elements if isinstance(element, Text) and element.style == "caption"]
    assert captions == ["Tanh Gaussian head", "mean", "log std"]
    # Each gives an output of its own, with its shape.
    ends = [e for e in whole.elements if isinstance(e, Wire) and e.points[-1][1] == whole.height]
    middles = [box.x + box.width / 2 for box in (mean, log_std)]
    assert sorted(wire.points[-1][0] for wire in ends) == pytest.approx(middles)
    assert whole.axis == pytest.approx(sum(middles) / 2)


def test_what_is_more_than_its_children_has_a_frame_with_its_name() -> None:
    def captions(name: str) -> list[str]:
        trial = try_out(parts()[name])
        assert trial is not None
        drawn = layout.network(network(trial.outline)).elements
        return [one.text for one in drawn if isinstance(one, Text) and one.style in ("caption", "times")]

    assert captions("soft_moe") == ["Soft MoE", "× 8 in parallel"]
    assert captions("vit_block") == []
    detached = layout.network(outline('[{ kind = "detached", block = { kind = "linear", width = 4 } }]')).elements
    assert [one.text for one in detached if isinstance(one, Text) and one.style == "caption"] == ["Detached"]


def test_shapes_stand_where_they_change() -> None:
    whole = layout.network(
        outline('[{ kind = "linear", width = 8 }, { kind = "relu" }, { kind = "linear", width = 4 }]')
    )
    shapes = [(text.text, text.y) for text in whole.elements if isinstance(text, Text) and text.style == "shape"]
    assert [text for text, _ in sorted(shapes, key=lambda pair: pair[1])] == ["6", "8", "4", "1"]
    assert [box.detail for box in boxes(whole.elements)] == ["56", "", "36", "5"]


def declared() -> Iterator[tuple[str, Outline]]:
    """An outline of every kind of block and head, and of every part."""
    for kind, member in Block.kinds().items():
        block = TypeAdapter[Block](Block).validate_python(member.example)
        yield kind, block.outline(block.example_input)
    for kind, head_kind in Head.kinds().items():
        yield kind, TypeAdapter[Head](Head).validate_python(head_kind.example).outline((32,), 6)
    for name, part in parts().items():
        trial = try_out(part)
        if trial is not None:
            yield name, trial.outline


def below(whole: Outline) -> Iterator[Outline]:
    yield whole
    for child in whole.children.values():
        yield from below(child)


@pytest.mark.parametrize(("name", "whole"), [*declared()], ids=lambda value: value if isinstance(value, str) else "")
def test_the_layout_that_a_kind_declares_is_that_of_its_shapes(name: str, whole: Outline) -> None:
    for one in below(whole):
        given: Shape = one.input
        # What computes something of its own may do so between its children.
        is_bare = one.layout == "residual" or (one.layout == "sequence" and not one.flops and not one.parameters)
        for child in one.children.values() if is_bare else ():
            assert child.input == given, f"{name}: the children of {one.kind!r} do not follow each other"
            given = child.output
        if one.layout == "residual":
            assert given == one.output
        if one.layout == "bypass":
            (child,) = one.children.values()
            assert 0 < one.input[0] - child.input[0] == one.output[0] - child.output[0], name
        if one.layout == "parallel":
            assert len({child.input for child in one.children.values()}) == 1, name
        assert not one.join or one.layout in ("residual", "bypass", "parallel"), name


def test_a_box_is_wide_enough_for_its_text() -> None:
    names = [labels.kind_name(kind) for kind in (*Block.kinds(), *Head.kinds())]
    for text in (*names, "Discrete value head", "16,777,216", "1.05 M frozen", "65 × 192"):
        width = TextPath((0, 0), text, size=10, prop=FontProperties(family="DejaVu Sans")).get_extents().width
        assert width <= labels.text_width(text, 10), text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_bytes_each_time(suffix: str, tmp_path: Path) -> None:
    blueprint = quickstart("networks.critic.copies=2")
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        draw(blueprint, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 5_000


def test_text_stays_text_in_vector_graphics(tmp_path: Path) -> None:
    path = tmp_path / "networks.svg"
    draw(quickstart("networks.critic.copies=2", "networks.critic.trunk.blocks=2"), path)
    root = ElementTree.parse(path).getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    averaged = "averaged as target_critic, momentum 0.99"
    for text in ("actor", "critic", "2 copies of 67,073 parameters", averaged, "× 2", "ReLU", "256"):
        assert text in texts
    assert not [element for element in root.iter() if "DejaVu" in element.get("id", "")], "no letter is a path"
    assert "date" not in path.read_text().lower()


def test_inputs_by_name_through_their_statistics() -> None:
    whole = sketch(quickstart())
    words = {one.text for one in whole.elements if isinstance(one, Text) and one.style == "shape"}
    assert {"observation 5", "action 1", "6"} <= words
    found = boxes(whole.elements)
    assert [box.name for box in found].count("RSNorm") == 2
    assert [one.sign for one in whole.elements if isinstance(one, Join)].count("concat") == 1
    raw = sketch(quickstart('normalization.observation={kind="raw"}'))
    assert "RSNorm" not in [box.name for box in boxes(raw.elements)]


def test_changes_are_marked_on_the_boxes_that_they_touch() -> None:
    late = (
        'interventions.late={when={kind="at", steps=[500]}, where=["critic.trunk.1.2.*", "critic.head.*"], '
        'do={kind="lerp", toward={kind="fresh"}}}'
    )
    every = 'interventions.all={when={kind="every", interval=4}, where=["critic.*"], do={kind="perturb", keep=0.5}}'
    whole = sketch(quickstart("networks.critic.trunk.blocks=3", late, every))
    check(whole)
    marked = [box.name for box in boxes(whole.elements) if box.marks]
    assert marked == ["Layer norm", "Linear", "Linear", "Scalar head"]
    assert {box.marks for box in boxes(whole.elements) if box.marks} == {(1,)}
    # The changed block is out of the frame of its equals; what changes all is marked at the name of the network.
    assert [one.text for one in whole.elements if isinstance(one, Text) and one.style == "times"] == ["× 2"]
    at_name, *explained = [one for one in whole.elements if isinstance(one, Mark)]
    (critic,) = [one for one in whole.elements if isinstance(one, Text) and one.text == "critic"]
    assert (at_name.number, at_name.y) == (2, critic.y) and critic.x < at_name.x < critic.x + 40
    assert [one.number for one in explained] == [1, 2]
    legend = [one.text for one in whole.elements if isinstance(one, Text) and one.style == "legend"]
    assert legend == [
        "late: lerp toward fresh, at 500 updates",
        "all: perturb keep 0.5, every 4 updates (whole network)",
    ]


def test_a_long_network_is_broken_into_columns() -> None:
    layers = ",".join(f'{{ kind = "linear", width = {8 + index % 2} }}, {{ kind = "relu" }}' for index in range(40))
    whole = layout.network(outline(f"[{layers}]"))
    check(whole)
    assert whole.height < 1.2 * COLUMN
    found = boxes(whole.elements)
    assert len(found) == 81
    # From column to column the order is kept: down each, then one to the right.
    places = [(box.x, box.y) for box in found]
    assert places == sorted(places)
    assert len({x for x, _ in places}) == 5
    turns = [one for one in whole.elements if isinstance(one, Wire) and len(one.points) == 6]
    assert len(turns) == 4
    # The output leaves under the last box.
    out = [one for one in whole.elements if isinstance(one, Wire)][-1]
    assert out.points[0][0] == found[-1].x + found[-1].width / 2


def test_networks_stand_beside_each_other() -> None:
    whole = sketch(quickstart())
    check(whole)
    titles = {e.text: e.x for e in whole.elements if isinstance(e, Text) and e.style == "title"}
    assert list(titles) == ["actor", "critic"]
    left = [box for box in boxes(whole.elements) if abs(box.x + box.width / 2 - titles["actor"]) < 150]
    assert max(box.x + box.width for box in left) < titles["critic"] - layout.LEAST_WIDTH / 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.gif", "a figure is written as .svg, .png or .pdf, got '.gif'"),
        ("a", "got 'no suffix'"),
        ("absent/a.svg", "no such folder"),
        ("folder.svg", "cannot be written (Is a directory)"),
    ],
)
def test_what_cannot_be_written(name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(UndrawableError) as caught:
        draw(quickstart(), tmp_path / name)
    assert expected in str(caught.value)


def test_a_figure_of_too_many_boxes(tmp_path: Path) -> None:
    layers = "".join(f'{{ kind = "linear", width = {4 + index % 2} }},\n' for index in range(MAX_BOXES // 2))
    simba = '{ use = "simba", width = 64, blocks = 1 }'
    twice = '["${values.many}", { kind = "relu" }, "${values.many}"]'
    text = (blueprints_root() / "quickstart.toml").read_text()
    path = tmp_path / "b.toml"
    path.write_text(f"{text.replace(simba, twice, 1)}\n[values]\nmany = [\n{layers}]\n")
    with pytest.raises(UndrawableError, match=r"5\d\d boxes are too many for a figure; limit 500"):
        draw(load(path).blueprint, tmp_path / "a.svg")
    assert not (tmp_path / "a.svg").exists()


def test_many_networks_are_drawn_in_rows() -> None:
    """DreamerV3's nine: each row within a page, the second one below all of the first, tops in line."""
    whole = sketch(load(blueprints_root() / "dmc" / "dreamer_v3.toml", is_to_run=False).blueprint)
    check(whole)
    names = [each for each in whole.elements if isinstance(each, Text) and each.style == "title"]
    first, second = sorted({name.y for name in names})
    assert len(names) == 9 and names == sorted(names, key=lambda name: (name.y, name.x))
    tops = [each.y for each in boxes(whole.elements)]
    assert max(top for top in tops if top < second) < second - 5 and min(tops) > first
    assert all(name.x < 1_500 for name in names) and whole.width <= 1_516
