"""The counter-based random numbers: the published sequence, uniform and normal laws, independent streams."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.func import vmap

from composer.networks.modules.noise import BITS, GOLDEN, mix, normal, uniform


def key(value: int) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int64)


def test_the_published_sequence() -> None:
    # First outputs of SplitMix64 from seed 1234567, as in the reference implementation's test vector.
    state = 1234567 + torch.arange(1, 6) * GOLDEN
    outputs = [value % 2**64 for value in mix(state).tolist()]
    assert outputs == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_uniform_and_normal_laws() -> None:
    n = 200_000
    u = uniform(key(5), key(0), (n,))
    assert u.min() >= 0 and u.max() < 1
    ordered = u.sort().values
    distance = (ordered - (torch.arange(n) + 0.5) / n).abs().max() * n**0.5
    assert distance < 1.63, "Kolmogorov's statistic, 1 % level"
    z = normal(key(5), key(1), (n,)).sort().values
    expected = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    assert (torch.special.ndtr(z.double()) - torch.special.ndtr(expected)).abs().max() * n**0.5 < 1.63
    assert torch.isfinite(z).all()
    assert (u * 2**BITS == (u * 2**BITS).round()).all()


def test_streams_differ_by_key_and_draw_and_repeat() -> None:
    base = uniform(key(3), key(7), (64, 8))
    assert torch.equal(base, uniform(key(3), key(7), (64, 8)))
    n = base.numel()
    for other in (uniform(key(4), key(7), (64, 8)), uniform(key(3), key(8), (64, 8)), base.roll(1, 0)):
        correlation = torch.corrcoef(torch.stack([base.flatten(), other.flatten()]))[0, 1]
        assert correlation.abs() < 4 / n**0.5


def test_members_of_a_stack_draw_their_own_numbers() -> None:
    keys, draws = torch.arange(3), torch.tensor([0, 5, 9])
    stacked = vmap(lambda k, d: uniform(k, d, (4, 2)))(keys, draws)
    for index in range(3):
        assert torch.equal(stacked[index], uniform(keys[index], draws[index], (4, 2)))


COMPILED = """
import torch
from torch.func import vmap
from composer.networks.modules.noise import uniform

def draw(keys, draws):
    return vmap(lambda key, count: uniform(key, count, (5, 8)))(keys, draws)

keys, draws, compiled = torch.tensor([5, 6]), torch.tensor([0, 3]), torch.compile(draw, fullgraph=True, dynamic=False)
for _ in range(4):
    assert torch.equal(compiled(keys, draws), draw(keys, draws))
"""


@pytest.mark.slow
def test_compiled_draws_are_the_same_and_stay_within_their_tensor() -> None:
    """In a process of its own: a product that overflows in a loop's counter once made gcc write past the end."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, timeout=3_600)
    assert done.returncode == 0, done.stderr
