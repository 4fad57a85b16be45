"""A network of another library as composer declares it, with the weights of the file.

Tests: tests/studies/doctor/test_agent_files.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from pydantic import ValidationError
from torch import Tensor

from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template
from composer.spec.shape import Shape, ShapeError
from composer.studies import Refused
from composer.studies.doctor.agents.saved import Saved

NATURE: Final = {8: 4, 4: 2, 3: 1}
"""Stride of each kernel of the convolutions of Mnih et al., Nature 518, 2015."""
BYTES: Final = {"kind": "scale", "factor": 1 / 255}
"""Pixels to [0, 1]."""
TORCH: Final = {"weight": {"kind": "uniform_fan_in"}, "bias_init": {"kind": "uniform_fan_in"}}
"""First values of ``torch.nn.Linear`` and ``torch.nn.Conv2d``."""


def orthogonal(gain: float) -> dict[str, Any]:
    """First values of the policy-gradient agents of both libraries."""
    return {"weight": {"kind": "orthogonal", "gain": gain}, "bias_init": {"kind": "zeros"}}


def layers(names: Mapping[str, str]) -> dict[str, str]:
    """Weights and biases of a head by path, from the names of its layers."""
    return {f"{path}.{each}": f"{name}.{each}" for path, name in names.items() for each in ("weight", "bias")}


HIDDEN: Final = orthogonal(math.sqrt(2))


@dataclass(frozen=True)
class AgentNetwork:
    """A network as composer declares it, and its parameters ``[copies, ...]`` by path."""

    declared: Network
    input: Shape
    actions: int
    parameters: Mapping[str, Tensor]

    @property
    def outline(self) -> Outline:
        """Of one copy."""
        return self.declared.outline(self.input, self.actions)

    def stacked(self) -> Stacked:
        """The network with its weights, of one seed."""
        parameters = {path: value[None].clone().requires_grad_() for path, value in self.parameters.items()}
        return Stacked(Template(self.declared.module(self.input, self.actions).make), parameters, {})


@dataclass
class Layout:
    """Builds networks from the tensors of a file, and knows which of them it has used."""

    saved: Saved
    activation: str
    """After hidden layers; a ReLU after those of a NatureCNN."""
    first: Mapping[str, Any] = field(default_factory=lambda: TORCH)
    """How hidden layers are drawn."""
    used: set[str] = field(default_factory=set)

    def network(
        self,
        hidden: Sequence[str],
        head: Mapping[str, Any],
        outputs: Mapping[str, str],
        input: Shape,
        actions: int,
        copies: Sequence[str] = ("",),
        is_bytes: bool = False,
    ) -> AgentNetwork:
        """A network of layers in a row, an activation after each.

        ``hidden`` are the names of layers, ``outputs`` those of the head's parameters by path in composer; each of
        ``copies`` replaces ``{copy}`` in them. Raises Refused where shapes do not fit.
        """
        names = dict(outputs)
        trunk: list[dict[str, Any]] = [BYTES] if is_bytes else []
        is_flat = len(input) == 1
        for layer in hidden:
            weight = self.tensor(layer.format(copy=copies[0]) + ".weight")
            if weight.ndim == 2 and not is_flat:
                trunk.append({"kind": "flatten"})
                is_flat = True
            index = len(trunk)
            names |= {f"trunk.{index}.{each}": f"{layer}.{each}" for each in ("weight", "bias")}
            activation = "relu" if "features_extractor." in layer else self.activation
            trunk += [self._layer(layer, weight), {"kind": activation}]
        trunk = trunk or [{"kind": "identity"}]
        given = {"trunk": trunk, "head": dict(head), "copies": len(copies)}
        try:
            declared = Network.model_validate(given)
            outline = declared.outline(input, actions)
        except (ShapeError, ValidationError) as error:
            raise Refused(
                f"{self.saved.path}: its layers do not fit observations of shape {[*input]}: {error}"
            ) from error
        return AgentNetwork(declared, input, actions, dict(self._parameters(outline, names, copies)))

    def tensor(self, name: str) -> Tensor:
        """A tensor of the file. Raises Refused where there is none of this name."""
        if name not in self.saved.tensors:
            raise Refused(f"{self.saved.path} has no {name}; it has {self.saved.found()}")
        self.used.add(name)
        return self.saved.tensors[name]

    def numbered(self, prefix: str) -> list[str]:
        """Layers ``prefix.0``, ``prefix.2``, ... of a sequence, in order."""
        found = {name for name in self.saved.tensors if name.startswith(f"{prefix}.") and name.endswith(".weight")}
        numbers = sorted(int(middle) for name in found if (middle := name[len(prefix) + 1 : -7]).isdigit())
        return [f"{prefix}.{number}" for number in numbers]

    def ensure_complete(self, also: Sequence[str] = ()) -> None:
        """Raise Refused where a tensor was not used and its name does not begin with one of ``also``."""
        left = [name for name in self.saved.tensors if name not in self.used and not name.startswith(tuple(also))]
        if left:
            raise Refused(
                f"{self.saved.path}: no layer is known for {', '.join(left[:6])}"
                f"{f' and {len(left) - 6} more' if len(left) > 6 else ''}; the file has {self.saved.found()}"
            )

    def _layer(self, name: str, weight: Tensor) -> dict[str, Any]:
        if weight.ndim == 2:
            return {"kind": "linear", "width": weight.shape[0], **self.first}
        if weight.ndim != 4 or weight.shape[2] != weight.shape[3] or weight.shape[2] not in NATURE:
            raise Refused(
                f"{self.saved.path}: {name}.weight has shape {[*weight.shape]}: neither a dense layer nor a convolution"
                " of NatureCNN, with kernels of 8, 4 and 3, whose strides are known; a file of weights names none"
            )
        kernel = weight.shape[2]
        return {"kind": "conv", "width": weight.shape[0], "kernel": kernel, "stride": NATURE[kernel], **self.first}

    def _parameters(
        self, outline: Outline, names: Mapping[str, str], copies: Sequence[str]
    ) -> Iterator[tuple[str, Tensor]]:
        for path, plan in outline.named_parameters():
            members = []
            for copy in copies:
                name = names[path].format(copy=copy)
                value = self.tensor(name).float()
                if value.numel() != plan.count or (
                    value.ndim > 1 and len(plan.shape) > 1 and value.shape != plan.shape
                ):
                    raise Refused(
                        f"{self.saved.path}: {name} has shape {[*value.shape]}, expected {[*plan.shape]} for"
                        f" observations of shape {[*outline.input]}"
                    )
                members.append(value.reshape(plan.shape))
            yield path, torch.stack(members)
