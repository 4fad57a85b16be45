"""What is copied into an ejected file: all that is needed, nothing else, each under a name of its own."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from composer.blueprint.inspect.eject import EjectError, Subject, printed
from composer.blueprint.inspect.eject.scopes import module_names
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call

MODULES = {
    "first": '''
"""Things of the first kind. Tests: none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from ejected_pack.second import SMALLEST as LEAST
from ejected_pack.second import Base, uniform

if TYPE_CHECKING:
    from ejected_pack.second import Pads

SMALLEST = 1e-3  # Not that of the second module.
"""A bound."""
UNUSED = math.tau


# Says why.
@torch.no_grad()
def clip(x: Tensor, low: float = SMALLEST) -> Tensor:
    """``é`` stands before a name on its line."""
    é, SMALL = 1.0, SMALLEST; return x.clamp_min(max(low, SMALLEST, LEAST)) * é + 0 * SMALL  # noqa: E702


def unused(x: Tensor) -> Tensor:
    return clip(x)


class Module(Base):
    """Uses a local name that is a function's elsewhere."""

    kind: Literal["a"] = "a"

    def __init__(self, uniform: float, pads: Pads = (0, 0)) -> None:
        super().__init__()
        self.rate = uniform + sum(pad for pad in pads)

    def forward(self, x: Tensor) -> Tensor:
        padded = [clip(row) for row in x]
        return torch.stack(padded) + self.noise(x) * self.rate
''',
    "second": '''
"""Things of the second kind,
on two lines."""

from torch import Tensor, nn

SMALLEST, LARGEST = 1e-9, 1e9
Pads = tuple[int, int]


def uniform(x: Tensor) -> Tensor:
    return x.clamp(SMALLEST, LARGEST)


def padded(x: Tensor) -> Tensor:
    return x


class Base(nn.Module):
    def noise(self, x: Tensor) -> Tensor:
        return uniform(x) + SMALLEST
''',
    "passes_on": "from ejected_pack.first import Module as Renamed\n",
    "numbers": "import numpy as np\n\nclass Module:\n    def __init__(self):\n        self.x = np.zeros(3)\n",
    "relative": "from .second import Base\nfrom torch.nn import functional as F\nclass Module(Base):\n"
    "    def forward(self, x):\n        return F.relu(self.noise(x))\n",
}  # fmt: skip


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ejected_pack"
    folder.mkdir()
    for name, text in {"__init__": "", **MODULES}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def text_of(*calls: LazyCall, names: tuple[str, ...] = ("made",)) -> str:
    outline = Outline("x", (2,), (2,))
    return printed("Some modules", [], [Subject(name, each, outline) for name, each in zip(names, calls, strict=True)])


def run(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(text, "ejected.py", "exec"), namespace)
    return namespace


@pytest.mark.usefixtures("pack")
def test_all_that_is_needed_is_there_and_nothing_else() -> None:
    import torch

    made = call("ejected_pack.first:Module", 0.5, pads=(1, 2))
    text = text_of(made)
    assert [line for line in text.split("\n") if line.startswith(("def ", "class ", "# "))] == [
        "# ejected_pack.second: Things of the second kind, on two lines.",
        "def uniform(x: Tensor) -> Tensor:",
        "class Base(nn.Module):",
        "# ejected_pack.first: Things of the first kind.",
        "# Says why.",
        "def clip(x: Tensor, low: float = FIRST_SMALLEST) -> Tensor:",
        "class Module(Base):",
        "def made() -> nn.Module:",
    ]
    assert "FIRST_SMALLEST = 1e-3  # Not that of the second module." in text
    assert "é, SMALL = 1.0, FIRST_SMALLEST; return x.clamp_min(max(low, FIRST_SMALLEST, SMALLEST)) * é" in text
    assert [line for line in text.split("\n") if line.startswith(("import ", "from "))] == [
        "from __future__ import annotations",
        "from typing import Literal",
        "import torch",
        "from torch import Tensor, nn",
    ]
    x = torch.tensor([[-1.0, 2.0], [0.5, 1e-4]])
    module = run(text)["made"]()
    assert (module.rate, module.kind) == (3.5, "a")
    assert torch.equal(module(x), made.make()(x))


@pytest.mark.usefixtures("pack")
def test_functions_keep_the_names_of_roles() -> None:
    made = call("ejected_pack.first:Module", 0.5)
    text = text_of(made, made, call("torch.nn:ReLU"), names=("uniform", "nn", "lambda"))
    assert "def second_uniform(x: Tensor) -> Tensor:" in text
    assert "from torch import nn as torch_nn" in text
    assert "return torch_nn.ReLU()" in text
    made_by = run(text)
    assert type(made_by["uniform"]()).__name__ == type(made_by["nn"]()).__name__ == "Module"
    assert type(made_by["lambda_"]()).__name__ == "ReLU"


@pytest.mark.usefixtures("pack")
def test_modules_that_pass_names_on_are_looked_through() -> None:
    text = text_of(call("ejected_pack.passes_on:Renamed", 0.5), call("ejected_pack.relative:Module"), names=("a", "b"))
    made = run(text)
    assert type(made["a"]()).__name__ == "Module"
    assert type(made["b"]()).__name__ == "RelativeModule"
    assert "from torch.nn import functional as F" in text


@pytest.mark.usefixtures("pack")
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("ejected_pack.numbers:Module", "ejected_pack.numbers uses 'numpy', which a file of plain torch cannot hold"),
        ("ejected_pack.first:Absent", "ejected_pack.first has no 'Absent' at its top"),
        ("ejected_pack.gone:Module", "the module 'ejected_pack.gone' has no source"),
    ],
)
def test_what_cannot_be_printed(target: str, said: str) -> None:
    with pytest.raises(EjectError, match=said):
        text_of(call(target))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(a, *b, c=d, **e) -> g:\n    a, h = b\n    return [i for i in c] + [j]", ["g", "d", "j"]),
        ("class C(B):\n    x = y\n    def f(self): return x", ["B", "y", "x"]),
        ("def f():\n    def g(k): return k + n\n    return lambda m: m + g(o)", ["n", "o"]),
        ("def f(x: A = B):\n    for y in x: z = y\n    with q as w: return {z: w for z in r}", ["A", "B", "q", "r"]),
        ("X: T = {k: v for k, v in P}", ["T", "P", "X"]),
    ],
)
def test_only_names_of_the_module_are_found(text: str, names: list[str]) -> None:
    (statement,) = ast.parse(text).body
    assert sorted(node.id for node in module_names(statement)) == sorted(names)
