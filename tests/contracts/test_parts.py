"""Every part of the registry that is a block or a head keeps the contract of networks, at its own defaults.

What ``composer parts --json`` counts is what is built; the meta device confirms shapes; gradients reach every trainable
parameter; members of a stack equal each alone, statistics and random streams too; one captured graph, with its
gradients, equals the eager pass.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch._dynamo
from pydantic import TypeAdapter
from torch import Tensor, nn

from composer.blueprint.inspect.parts_list import ACTIONS, parts_json, try_out
from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.parts_expand import expand
from composer.networks.blocks import Block
from composer.networks.heads import Head
from composer.networks.initialize import draw, draw_buffers
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.spec.random_streams import derive

NAMES = [name for name, part in parts().items() if part.family in ("block", "head")]
LARGE = 300_000
"""Parameters above which a part's passes are no quick test."""
TRACED = 60_000
"""Parameters above which tracing a part and its gradients is none."""


def built(name: str) -> tuple[Outline, partial[nn.Module]]:
    """The outline of a part at its defaults, and how its module is built."""
    part = parts()[name]
    trial = try_out(part)
    assert trial is not None, "a part of this family has a size"
    tree, problems = expand(annotate({"use": name}, {}, "test"))
    assert not problems
    if part.family == "head":
        head = TypeAdapter[Head](Head).validate_python(plain(tree))
        return trial.outline, partial(head.build, trial.outline.input, ACTIONS)
    block = TypeAdapter[Block](Block).validate_python(plain(tree))
    return block.outline(trial.outline.input), partial(block.build, trial.outline.input)


def tensors(output: object) -> list[Tensor]:
    return list(output) if isinstance(output, tuple) else [output]  # type: ignore[list-item]


def sized(name: str, quick: int) -> object:
    outline, _ = built(name)
    return pytest.param(name, marks=[pytest.mark.slow] if outline.count() > quick else [])


def stack(name: str) -> Stacked:
    outline, build = built(name)
    seeds = (0, 5)
    return Stacked(Template(build), fresh_stack(outline, seeds, 1, "t"), fresh_buffers(outline, seeds, 1, "t"))


def exact(network: Stacked) -> Stacked:
    """In double precision: thirteen batch normalisations blow up how two ways of convolving round."""
    parameters = {path: value.detach().double() for path, value in network.parameters.items()}
    for path, value in network.parameters.items():
        parameters[path].requires_grad_(value.requires_grad)
    buffers = {path: value.double() if value.is_floating_point() else value for path, value in network.buffers.items()}
    return Stacked(network.template, parameters, buffers)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_counted_is_what_is_built(name: str) -> None:
    outline, build = built(name)
    with torch.device("meta"):
        module = build()
    planned = [(path, plan.shape) for path, plan in outline.named_parameters()]
    assert planned == [(path, tuple(value.shape)) for path, value in module.named_parameters()]
    (row,) = parts_json(name)["parts"]
    if row["family"] == "block" and "embed" not in row["size"]:
        assert row["size"]["parameters"] == sum(value.numel() for value in module.parameters())
    outputs = tensors(module(torch.empty(3, *outline.input, device="meta")))
    assert tuple(outputs[0].shape) == (3, *outline.output)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", [sized(name, LARGE) for name in NAMES])
def test_gradients_reach_and_members_keep_to_themselves(name: str, training: bool) -> None:
    """Alone proves it for the larger parts, ResNet-18 and ViT-Tiny among them."""
    outline, build = built(name)
    network = exact(stack(name))
    x = torch.randn(2, 2, *outline.input, generator=torch.Generator().manual_seed(1)).double()
    outputs = tensors(network(x, training))
    total = sum((each * torch.randn(each.shape, generator=torch.Generator().manual_seed(2))).sum() for each in outputs)
    assert isinstance(total, Tensor)
    trainable = {path: value for path, value in network.parameters.items() if value.requires_grad}
    gradients = torch.autograd.grad(total, list(trainable.values()), allow_unused=not training)
    unreached = [path for path, each in zip(trainable, gradients, strict=True) if each is None or not each.any()]
    # Without noise its scales play no part.
    assert unreached == ([] if training else [path for path in trainable if path.endswith("_sigma")])
    for index, seed in enumerate((0, 5)):
        module = build().train(training).double()
        stream = partial(derive, seed, "t", 0)
        module.load_state_dict(draw(outline, stream) | draw_buffers(outline, stream))
        alone = tensors(module(x[index]))
        for got, expected in zip(outputs, alone, strict=True):
            torch.testing.assert_close(got[index, 0], expected, rtol=1e-6, atol=1e-7)
        for path, value in module.named_buffers():
            torch.testing.assert_close(network.buffers[path][index, 0], value, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", [sized(name, TRACED) for name in NAMES])
def test_one_graph_with_its_gradients_equals_the_eager_pass(name: str) -> None:
    """Alone traces the larger parts with their gradients into one graph."""
    torch.compiler.reset()
    graphs: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    outline, _ = built(name)
    x = torch.randn(2, 2, *outline.input, generator=torch.Generator().manual_seed(1))
    answers = []
    for compiled in (False, True):
        network = stack(name)
        trainable = [value for value in network.parameters.values() if value.requires_grad]

        def update(x: Tensor, network: Stacked = network, trainable: list[Tensor] = trainable) -> list[Tensor]:
            outputs = tensors(network(x, True))
            total = torch.stack([each.square().mean() for each in outputs]).sum()
            return [*(each.detach() for each in outputs), *torch.autograd.grad(total, trainable)]

        run = torch.compile(update, backend=count, fullgraph=True, dynamic=False) if compiled else update
        with torch._dynamo.config.patch(trace_autograd_ops=True):
            answers.append([run(x), run(x), list(network.buffers.values())])
    assert len(graphs) == 1
    for eager, captured in zip(*answers, strict=True):
        for one, other in zip(eager, captured, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
