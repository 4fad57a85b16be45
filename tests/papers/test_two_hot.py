"""Two-hot numbers with symlog in symlog space and in raw space, against loops over bins in float64."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from composer.algorithms.losses.two_hot import SymexpTwoHot, SymlogTwoHot
from composer.algorithms.symlog import symexp, symlog
from composer.networks.heads import Head

NUMBERS = [0.0, 1e-3, -0.4, 1.0, -7.3, 55.0, -2e4, 21.9, -1e9, 1e9]
SUPPORTS = {"tdmpc2": (101, 10.0), "dreamer": (255, 20.0), "mrq": (65, 10.0), "even": (6, 3.0)}


def squash(x: float) -> float:
    return math.copysign(math.log1p(abs(x)), x)


def expand(x: float) -> float:
    return math.copysign(math.expm1(abs(x)), x)


def spread(number: float, bins: list[float]) -> list[float]:
    """Linearly between its two neighbours, one bin at a time."""
    number = min(max(number, bins[0]), bins[-1])
    above = next(index for index, edge in enumerate(bins) if edge >= number)
    if above == 0:
        return [1.0] + [0.0] * (len(bins) - 1)
    share = (number - bins[above - 1]) / (bins[above] - bins[above - 1])
    return [share if i == above else 1 - share if i == above - 1 else 0.0 for i in range(len(bins))]


def test_symexp_undoes_symlog() -> None:
    numbers = torch.tensor(NUMBERS, dtype=torch.float64)
    torch.testing.assert_close(symexp(symlog(numbers)), numbers, rtol=1e-12, atol=0)
    assert symlog(numbers).tolist() == pytest.approx([squash(number) for number in NUMBERS], rel=1e-14)


@pytest.mark.parametrize(("atoms", "end"), SUPPORTS.values(), ids=SUPPORTS)
def test_numbers_are_spread_and_read_back_in_both_spaces(atoms: int, end: float) -> None:
    even = [-end + 2 * end * index / (atoms - 1) for index in range(atoms)]
    numbers, raw = torch.tensor(NUMBERS), torch.randn(4, atoms, generator=torch.Generator().manual_seed(0))
    chances = raw.double().softmax(-1)
    in_symlog, in_raw = SymlogTwoHot(atoms, -end, end), SymexpTwoHot(atoms, -end, end)
    bins = [expand(edge) for edge in even]
    for returns, where, edges in ((in_symlog, squash, even), (in_raw, float, bins)):
        target = returns.encoded(numbers)
        for row, number in zip(target, NUMBERS, strict=True):
            torch.testing.assert_close(
                row.double(), torch.tensor(spread(where(number), edges)).double(), atol=2e-5, rtol=0
            )
        assert ((target > 0).sum(-1) <= 2).all()
        # Certain of a target, the prediction is the number again, cut to the bins.
        cut = [min(max(number, bins[0]), bins[-1]) for number in NUMBERS]
        read = returns.value(target.clamp_min(1e-38).log())
        assert read.tolist() == pytest.approx(cut, rel=1e-3, abs=2e-5)
        assert returns.loss(torch.zeros(atoms), target).tolist() == pytest.approx([math.log(atoms)] * len(NUMBERS))
    means = (chances * torch.tensor(even).double()).sum(-1).tolist()
    assert in_symlog.value(raw).tolist() == pytest.approx([expand(mean) for mean in means], rel=1e-4)
    means = (chances * torch.tensor(bins).double()).sum(-1).tolist()
    assert in_raw.value(raw).tolist() == pytest.approx(means, rel=1e-4)


@pytest.mark.parametrize(("atoms", "end"), SUPPORTS.values(), ids=SUPPORTS)
def test_equal_logits_predict_exactly_0(atoms: int, end: float) -> None:
    """In raw space a plain sum over 255 bins up to 4.85e8 would be off by whole numbers."""
    for returns in (SymlogTwoHot(atoms, -end, end), SymexpTwoHot(atoms, -end, end)):
        assert abs(returns.value(torch.zeros(3, atoms))).max() < 1e-6
    assert not SymexpTwoHot(atoms, -end, end).value(torch.zeros(3, atoms)).any()


def test_bellman_targets_and_distances_are_in_raw_units() -> None:
    """``r + 0.9 (v + b)`` of the decoded value; the area between two certain returns is their difference."""
    shift, scale, bonus = torch.tensor([1.0, -3.0]), torch.tensor([0.9, 0.0]), torch.tensor([0.5, 0.5])
    for returns in (SymlogTwoHot(41, -4.0, 4.0), SymexpTwoHot(41, -4.0, 4.0)):
        certain = returns.encoded(torch.tensor([5.0, 20.0])).clamp_min(1e-38).log()
        wanted = returns.encoded(torch.tensor([1 + 0.9 * 5.5, -3.0]))
        torch.testing.assert_close(returns.transform(certain, shift, scale, bonus), wanted, atol=1e-4, rtol=0)
    apart = returns.distance(certain[None, :, None])
    assert apart.item() == pytest.approx(15.0, rel=1e-4)


def test_the_head_names_its_space_and_refuses_bins_in_reverse() -> None:
    heads: TypeAdapter[Head] = TypeAdapter(Head)
    head = heads.validate_python({"kind": "two_hot_value", "bins": 255, "low": -20, "high": 20, "space": "raw"})
    call = head.returns()
    assert call is not None and isinstance(call.make(), SymexpTwoHot)
    with pytest.raises(ValidationError, match=r"'low' \(2.0\) must be below 'high' \(1.0\)"):
        heads.validate_python({"kind": "two_hot_value", "bins": 5, "low": 2.0, "high": 1.0})
