"""Mixtures of experts against loops over slots and tokens; what their softmaxes are over; what is dropped.

Legend: B batch, t tokens of width d, n experts with p slots each.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fresh_blocks import fresh, parse, part
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.flop_counter import FlopCounterMode

from composer.networks.initializers import LecunNormal
from composer.spec.shape import Shape, ShapeError

IDENTITY = {"kind": "identity"}
EXPERT = {
    "kind": "restore_width",
    "bias_init": {"kind": "ones"},
    "block": [{"kind": "linear", "width": 7}, {"kind": "tanh"}],
}


def soft(**keys: Any) -> dict[str, Any]:
    return {"kind": "soft_moe", "expert": EXPERT, **keys}


def top1(**keys: Any) -> dict[str, Any]:
    return {"kind": "top1_moe", "expert": EXPERT, **keys}


def filled(table: object, shape: Shape) -> nn.Module:
    return fresh(parse(table), shape).double().requires_grad_(False)


def random_tokens(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3)).double()


def experts_of(module: nn.Module) -> list[nn.Module]:
    return list(module.get_submodule("experts").children())


def set_router(module: nn.Module, path: str, value: Tensor) -> None:
    module.get_parameter(path).data.copy_(value.reshape(module.get_parameter(path).shape))


def mixed_slot_by_slot(x: Tensor, logits: Tensor, experts: list[nn.Module]) -> Tensor:
    """One sample ``[t, d]`` with ``logits [t, n, p]``, a slot and a token at a time, as section 2 of the paper says."""
    t, n, p = logits.shape
    given: dict[tuple[int, int], Tensor] = {}
    for i in range(n):
        for j in range(p):
            weights = [math.exp(logits[token, i, j]) for token in range(t)]
            slot = sum(w / sum(weights) * x[token] for token, w in enumerate(weights))
            given[i, j] = experts[i](slot)
    rows = []
    for token in range(t):
        weights = {(i, j): math.exp(logits[token, i, j]) for i in range(n) for j in range(p)}
        rows.append(sum(w / sum(weights.values()) * given[slot] for slot, w in weights.items()))
    return torch.stack(rows)


@pytest.mark.parametrize(("experts", "slots", "each"), [(1, None, 7), (3, None, 3), (2, 1, 1), (8, None, 1)])
def test_soft_moe_slot_by_slot(experts: int, slots: int | None, each: int) -> None:
    keys = {} if slots is None else {"slots": slots}
    module = filled(soft(experts=experts, **keys), (7, 5))
    router = module.get_parameter("router")
    assert router.shape == (5, experts, each)
    x = random_tokens(2, 3, 7, 5)
    expected = [
        mixed_slot_by_slot(sample, torch.einsum("td,dnp->tnp", sample, router), experts_of(module))
        for sample in x.flatten(0, 1)
    ]
    torch.testing.assert_close(module(x), torch.stack(expected).view(2, 3, 7, 5))


def test_soft_moe_with_normalised_logits() -> None:
    module = filled(soft(experts=2, normalised=True), (4, 5))
    set_router(module, "scale", torch.tensor(3.0))
    router, x = module.get_parameter("router"), random_tokens(4, 5)
    cosine = torch.einsum("td,dnp->tnp", x / x.norm(dim=1, keepdim=True), router / router.norm(dim=0, keepdim=True))
    torch.testing.assert_close(module(x), mixed_slot_by_slot(x, 3 * cosine, experts_of(module)))
    set_router(module, "router", 10 * router)
    torch.testing.assert_close(module(x), mixed_slot_by_slot(x, 3 * cosine, experts_of(module)))


def test_dispatch_sums_to_one_over_tokens_and_combine_over_all_slots() -> None:
    module = filled(soft(experts=3, expert=IDENTITY), (7, 5))
    set_router(module, "router", 3 * random_tokens(5, 3, 3))
    alike = random_tokens(5).expand(7, 5)
    torch.testing.assert_close(module(alike), alike)
    # The two softmaxes are of different axes: transposing one would still sum to one on equal tokens.
    slots: list[Tensor] = []
    for expert in experts_of(module):
        expert.register_forward_hook(lambda _, given, __: slots.append(given[0]))
    x = random_tokens(7, 5)
    module(x)
    logits = x @ module.get_parameter("router").flatten(1)
    dispatch, combine = logits.exp() / logits.exp().sum(0), logits.exp() / logits.exp().sum(1, keepdim=True)
    torch.testing.assert_close(torch.cat(slots), dispatch.mT @ x)
    torch.testing.assert_close(module(x), combine @ dispatch.mT @ x)


def test_soft_moe_whose_slots_are_the_tokens_is_its_expert() -> None:
    module = filled(soft(experts=1), (5, 5))
    x = torch.linalg.qr(random_tokens(5, 5)).Q
    set_router(module, "router", 1000 * x.mT)
    torch.testing.assert_close(module(x), experts_of(module)[0](x))


def test_experts_are_drawn_apart_and_phi_as_jax_counts_its_fans() -> None:
    module = fresh(parse(soft(experts=3)), (6, 32))
    drawn = [dict(expert.named_parameters())["0.0.weight"] for expert in experts_of(module)]
    assert not drawn[0].equal(drawn[1]) and not drawn[1].equal(drawn[2])
    outline = parse(soft(experts=8)).outline((128, 256))
    phi = outline.parameters["router"]
    assert phi.initializer == LecunNormal() and (phi.fan_in, phi.fan_out) == (8 * 256, 16 * 256)
    paths = [path for path, _ in outline.named_parameters()]
    assert paths[:2] == ["router", "experts.0.0.0.weight"] and paths[-1] == "experts.7.1.bias"


def sent_token_by_token(x: Tensor, module: nn.Module, capacity: int) -> tuple[Tensor, int]:
    """One sample ``[t, d]`` through its preferred experts in order, and how many tokens were dropped."""
    taken = [0] * len(experts_of(module))
    rows, dropped = [], 0
    for token in x:
        logits = [float(token @ row) for row in module.get_parameter("router.weight")]
        choice = max(range(len(logits)), key=logits.__getitem__)
        probability = math.exp(logits[choice]) / sum(map(math.exp, logits))
        taken[choice] += 1
        fits = taken[choice] <= capacity
        dropped += not fits
        rows.append(probability * experts_of(module)[choice](token) if fits else torch.zeros_like(token))
    return torch.stack(rows), dropped


@pytest.mark.parametrize(("experts", "capacity", "each"), [(1, None, 8), (3, None, 3), (3, 1, 1), (2, 8, 8)])
def test_top1_moe_token_by_token(experts: int, capacity: int | None, each: int) -> None:
    keys = {} if capacity is None else {"capacity": capacity}
    module = filled(top1(experts=experts, **keys), (8, 5))
    x = random_tokens(2, 3, 8, 5)
    sent = [sent_token_by_token(sample, module, each) for sample in x.flatten(0, 1)]
    torch.testing.assert_close(module(x), torch.stack([rows for rows, _ in sent]).view(x.shape))
    assert (sum(dropped for _, dropped in sent) > 0) == (experts == 3)


def test_top1_moe_drops_who_comes_last() -> None:
    module = filled(top1(experts=4, capacity=2), (6, 5))
    set_router(module, "router.weight", torch.eye(4, 5)[[2, 0, 1, 3]] * 1000)
    x = random_tokens(6, 5).abs() * 0.1 + torch.eye(5)[[2, 2, 0, 2, 2, 0]]
    expected = torch.zeros(6, 5).double()
    for expert, tokens in ((0, [0, 1]), (1, [2, 5])):
        expected[tokens] = experts_of(module)[expert](x[tokens])
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("kind", "elementwise"), [("soft_moe", 10 * 6 * 6), ("top1_moe", 4 * 6 * 2)])
def test_declared_cost_of_matrix_products_is_torchs_count(kind: str, elementwise: int) -> None:
    expert = [{"kind": "linear", "width": 7, "bias": False}]
    block = parse({"kind": kind, "experts": 2, "expert": expert})
    with FlopCounterMode(display=False) as counter:
        block.build((6, 5))(torch.ones(9, 6, 5))
    assert counter.get_total_flops() == 9 * (block.outline((6, 5)).total_flops() - elementwise)
    assert block.outline((6, 5)).output == (6, 7), "an expert may give another width"


def test_the_penultimate_parts_read_an_image_as_the_paper_does() -> None:
    x = random_tokens(2, 4, 3, 3)
    module = fresh(part("soft_moe", experts=2, width=6), (4, 3, 3)).double()
    mixture = module.get_submodule("1")
    torch.testing.assert_close(module(x), mixture(x.flatten(2).mT).flatten(1))
    module = fresh(part("top1_moe", experts=2, width=6), (4, 3, 3)).double()
    torch.testing.assert_close(module(x), module.get_submodule("1")(x.flatten(2)).flatten(1))


@pytest.mark.slow
def test_transformer_and_experts_compiled_stacked_and_alone_agree_with_gradients() -> None:
    """Alone makes code of attention and experts, stacked, with gradients, and compares its numbers."""
    narrow = {"kind": "linear", "width": 8}
    table = [
        {"kind": "attention", "heads": 2},
        {"kind": "soft_moe", "experts": 2, "expert": narrow},
        {"kind": "top1_moe", "experts": 3, "expert": narrow},
    ]
    block, shape = parse(table), (6, 8)
    copies = [fresh(block, shape, seed) for seed in (0, 1)]
    values, buffers = stack_module_state(copies)
    template, x = fresh(block, shape), torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))

    def called(values: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        outputs: Tensor = vmap(lambda tensors: functional_call(template, tensors, (x,)))(values | buffers)
        return outputs

    torch.compiler.reset()
    results = []
    for program in (called, torch.compile(called, fullgraph=True)):
        held = {path: value.clone() for path, value in buffers.items()}
        outputs = program(values, held)
        results.append((outputs, torch.autograd.grad(outputs.square().sum(), list(values.values())), held))
    eager, compiled = results
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
    assert all(gradient.any() for gradient in eager[1])
    for index, copy in enumerate(copies):
        torch.testing.assert_close(eager[0][index], copy(x))


@pytest.mark.parametrize(
    ("table", "shape", "steps", "message"),
    [
        (
            soft(experts=2, expert={"kind": "flatten"}),
            (6, 5),
            ("expert",),
            "an expert must keep its 3 slots: its input is [3, 5], its output [15]",
        ),
        (
            top1(experts=2, expert={"kind": "linear", "expansion": 64}),
            (6, 2048),
            ("expert", "expansion"),
            "64 x 2048 = 131072 is wider than 65536",
        ),
        (
            soft(experts=1024, slots=65),
            (6, 5),
            ("experts",),
            "1024 x 65 = 66560 is wider than 65536",
        ),
        (
            top1(experts=2),
            (6,),
            (),
            "'top1_moe' takes tokens, [tokens, width]; its input has shape [6]; 'split_tokens' makes some of a vector",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_their_key(
    table: dict[str, Any], shape: Shape, steps: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        parse(table).outline(shape)
    assert (caught.value.message, caught.value.steps) == (message, steps)
