"""The library that multiplies matrices in programs compiled for a CPU.

torch multiplies float32 matrices by MKL, which reaches half of the speed of AVX-512 on AMD's processors; oneDNN, which
comes with torch too, reaches all of it (docs/decisions/0017-products.md, 0041-kernels.md). The processor alone decides,
never a measurement: equal machines, equal numbers. Tests: tests/training/test_onednn.py.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

LARGE = 3 * 2**20
"""Operations of one product from which oneDNN pays; below, MKL is as fast and a separate call costs more."""
_CPU_FACTS = Path("/proc/cpuinfo")


@cache
def better_by_onednn() -> bool:
    """Whether this is a processor of AMD with AVX-512, and torch has oneDNN."""
    try:
        is_amd = "AuthenticAMD" in _CPU_FACTS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return is_amd and wide and bool(torch.backends.mkldnn.is_available())


def products_setting() -> str:
    """How products of a compiled program are made on this machine, as far as numbers depend on it."""
    return f"oneDNN from {LARGE} operations" if better_by_onednn() else "MKL"


def product(left: Tensor, right: Tensor, bias: Tensor | None = None, activation: str = "none") -> Tensor:
    """``left [m, k]`` times ``right [k, n]`` by oneDNN, in any layout, plus ``bias [n]``.

    ``activation`` is "none" or "relu"; both are applied while the result is in the cache.
    """
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.mT, bias, activation, [], "")
    return result


def products(left: Tensor, right: Tensor) -> Tensor:
    """``left [b, m, k]`` times ``right [b, k, n]``, one matrix after the other."""
    return torch.stack([product(a, b) for a, b in zip(left.unbind(), right.unbind(), strict=True)])


_LIBRARY = torch.library.Library("composer", "DEF")
_LIBRARY.define('product(Tensor left, Tensor right, Tensor? bias=None, str activation="none") -> Tensor')
_LIBRARY.define("products(Tensor left, Tensor right) -> Tensor")
for _name, _function in {"product": product, "products": products}.items():
    _LIBRARY.impl(_name, _function, "CPU")
    _LIBRARY.impl(_name, lambda left, right, *_: left.new_empty(*left.shape[:-1], right.shape[-1]), "Meta")
