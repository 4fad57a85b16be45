"""Growth in width: hidden layers get more units. Legend: S seeds, C copies, U units before and N after.

Tests: tests/interventions/test_growth.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import methodcaller
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.interventions.grow import Grow, changed_at
from composer.interventions.growth_steps import Draws, Step
from composer.networks.hidden_units import HiddenLayer, chosen_layers
from composer.networks.network import Network
from composer.networks.outline import BufferPlan, Outline, ParameterPlan
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

_OF_UNITS = frozenset({"batch", "running"})
"""Norms of single units, which leave the promise alone."""


class Widen(Grow, kind="widen"):
    """Give hidden layers more units and leave the outputs as they are: ``units = round(factor units)``.

    ``where`` chooses layers by their weights; each must be read, past activations and norms, by weights alone, and
    those that read it grow with it. ``copies`` is Net2WiderNet: each new unit is a copy of one of the layer, and the
    weights that read a unit are divided by its number of copies. All units are copied equally often where ``factor`` is
    whole, which leaves norms over a layer's units (layer, group and RMS norm) exact too; otherwise the units with one
    copy more are drawn. ``fresh`` draws the new units' weights in by the layer's initialiser and sets the weights that
    read them to 0: they have gradients at once, and those before them from the next update on. Optimizer moments of
    new entries are 0. Outputs stay in evaluation mode; dropout and noisy layers draw for each copy on its own.
    Sources: Chen et al., arXiv:1511.05641, section 3.1; units read by weights of 0: Dohare et al., Nature 632, 2024.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "widen", "factor": 2.0}

    factor: Annotated[float, Field(gt=1, le=16)] = 2.0
    """Units after a firing by units before."""
    new: Literal["copies", "fresh"] = "copies"
    """What new units are."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Of ``copies``: normal noise that tells them apart, added to the weights that read them, with a sum of 0 over the
    copies of a unit, so that outputs stay (the paper adds noise that changes them). Its standard deviation, as a share
    of the root mean square of these weights; our choice."""

    @override
    def steps(self, network: Network, shape: Shape, actions: int, chosen: Sequence[str]) -> Iterator[Step]:
        outline = network.outline(shape, actions)
        layers = chosen_layers({"": outline}, [("", path) for path in chosen]).get("", [])
        if not layers:
            raise ValueError(
                "no layer here can be widened: no chosen layer of the trunk is read, past activations and norms, by "
                "layers of trained weights alone"
            )
        for layer in layers:
            outline, units = network.outline(shape, actions), round(self.factor * layer.units)
            self._check(layer, dict(outline.named_parameters()), units)
            network = _wider(network, layer, units, {**dict(_sizes(outline, layer))})
            text = f"{layer.path} from {layer.units:,} to {units:,} units"
            after = network.outline(shape, actions)
            yield WiderLayer(network, outline, after, text, layer, units, self.new == "copies", self.noise)

    def _check(self, layer: HiddenLayer, plans: Mapping[str, ParameterPlan], units: int) -> None:
        """Raises ValueError where outputs would change."""
        if units == layer.units:
            raise ValueError(f"{self.factor:g} times {layer.units} units of {layer.path} are as many")
        if any(plans[path].is_projected for path in layer.parameters()):
            raise ValueError(f"parameters around {layer.path} are kept at a norm, which more units would change")
        over = [norm for norm in layer.norms if norm not in _OF_UNITS]
        if "sphere" in over:
            raise ValueError(f"the units of {layer.path} are scaled to the unit sphere, which copies would change")
        if over and not (self.new == "copies" and units % layer.units == 0):
            raise ValueError(
                f"a norm takes moments over the units of {layer.path}, which these new units would change; only copies "
                f"of all units equally often leave them: new = 'copies' and a whole 'factor'"
            )


@dataclass(frozen=True)
class WiderLayer(Step):
    """One hidden layer with ``units`` units."""

    layer: HiddenLayer
    """As it was before."""
    units: int
    copies: bool
    noise: float

    @override
    def tensor(self, path: str, plan: ParameterPlan | BufferPlan, old: Tensor | None, draws: Draws) -> Tensor:
        assert old is not None, f"{path} is new"
        axis = self._axis(path)
        if axis is None:
            return old
        index, is_new = self._origin(draws, old)
        value = _taken(old, axis, index, self.layer.units)
        if (path, axis) in self._reading:
            return self._read(path, value, axis, index, is_new, draws)
        return value if self.copies else _masked(draws.fresh(path, plan).to(value), value, axis, is_new)

    @override
    def moment(self, path: str, old: Tensor, draws: Draws) -> Tensor:
        import torch

        axis = self._axis(path)
        if axis is None:
            return old
        index, is_new = self._origin(draws, old)
        value = _taken(old, axis, index, self.layer.units)
        return _masked(torch.zeros_like(value), value, axis, is_new)

    @cached_property
    def _changed(self) -> Mapping[str, int]:
        """Paths with an entry of a unit, with the axis of one sample."""
        old, new = _shapes(self.before), _shapes(self.after)
        axes = {path: [k for k, size in enumerate(shape) if new[path][k] != size] for path, shape in old.items()}
        for path, (axis, *more) in ((path, found) for path, found in axes.items() if found):
            assert not more and old[path][axis] * self.units == new[path][axis] * self.layer.units, path
        return {path: found[0] for path, found in axes.items() if found}

    @cached_property
    def _reading(self) -> frozenset[tuple[str, int]]:
        return frozenset((path, 1) for reader in self.layer.readers for path in reader.weights)

    def _axis(self, path: str) -> int | None:
        return self._changed.get(path)

    def _origin(self, draws: Draws, like: Tensor) -> tuple[Tensor, Tensor]:
        """The old unit of each new one, ``[S, C, N]``, and which of them are new."""
        import torch

        seeds, copies, old = *like.shape[:2], self.layer.units
        more = self.units - old
        if not self.copies:
            index = torch.cat([torch.arange(old), torch.zeros(more, dtype=torch.int64)]).expand(seeds, copies, -1)
            is_new = (torch.arange(self.units) >= old).expand(seeds, copies, -1)
            return index.to(like.device), is_new.to(like.device)
        whole, rest = divmod(self.units, old)
        order = draws.order(self.layer.path, old).to(like.device)
        counts = torch.full((seeds, copies, old), whole, device=like.device)
        counts.scatter_add_(2, order[..., :rest], torch.ones_like(order[..., :rest]))
        # Copies lie beside each other, so that groups of neighbours stay groups.
        ends = counts.cumsum(2)
        place = torch.arange(self.units, device=like.device).expand(seeds, copies, -1)
        index = torch.searchsorted(ends, place.contiguous(), right=True)
        is_new = torch.cat([torch.zeros_like(index[..., :1], dtype=torch.bool), index[..., 1:] == index[..., :-1]], 2)
        return index, is_new

    def _read(self, path: str, value: Tensor, axis: int, index: Tensor, is_new: Tensor, draws: Draws) -> Tensor:
        """Weights that read the units. Scales of noise keep the variance of the sum where units are copied."""
        import torch

        if not self.copies:
            return _masked(torch.zeros_like(value), value, axis, is_new)
        ones = torch.ones_like(index)
        counts = torch.zeros_like(index).scatter_add(2, index, ones)
        number = _along(counts.gather(2, index), value, axis).to(value.dtype)
        if path not in {reader.weights[0] for reader in self.layer.readers}:
            return value / number.sqrt()
        value = value / number
        if not self.noise:
            return value
        drawn = draws.noise(path, tuple(value.shape[2:])).to(value)
        entry = _entries(index, value.shape[axis + 2] // index.shape[2])
        entry = _along(entry, value, axis).expand_as(value)
        mean = torch.zeros_like(value).scatter_add(axis + 2, entry, drawn).gather(axis + 2, entry) / number
        size = value.square().flatten(2).mean(2).sqrt()
        return value + (drawn - mean) * self.noise * size.view(*size.shape, *[1] * (value.ndim - 2))


def _shapes(outline: Outline) -> dict[str, Shape]:
    parameters = {path: plan.shape for path, plan in outline.named_parameters()}
    return parameters | {path: plan.shape for path, plan in outline.named_buffers()}


def _sizes(outline: Outline, layer: HiddenLayer) -> Iterator[tuple[str, int]]:
    plans = dict(outline.named_parameters())
    for reader in layer.readers:
        yield reader.path, plans[reader.weights[0]].shape[0]


def _wider(network: Network, layer: HiddenLayer, units: int, readers: Mapping[str, int]) -> Network:
    """The network with ``units`` units in a layer; the readers keep their widths, whatever they were relative to."""
    for path, width in {layer.path: units, **readers}.items():
        first, *names = path.split(".")
        if first == "trunk":
            refusal = f"{path} cannot be widened: '{{kind}}' has no width of its own to change"
            trunk = changed_at(network.trunk, names, methodcaller("widened", width), refusal)
            network = network.model_copy(update={"trunk": trunk})
        elif path == layer.path:
            raise ValueError(
                f"{path} is a layer of the head, whose widths its kind decides; choose layers of the trunk"
            )
    return network


def _entries(index: Tensor, entries: int) -> Tensor:
    """Indices of adjacent entries of the units, ``[S, C, N * entries]``."""
    import torch

    return (index[..., None] * entries + torch.arange(entries, device=index.device)).flatten(2)


def _along(values: Tensor, like: Tensor, axis: int) -> Tensor:
    """``[S, C, N]`` shaped to broadcast along an axis of one sample's shape, each repeated for adjacent entries."""
    values = values.repeat_interleave(like.shape[axis + 2] // values.shape[2], 2)
    return values.view(*values.shape[:2], *(values.shape[2] if k == axis else 1 for k in range(like.ndim - 2)))


def _taken(value: Tensor, axis: int, index: Tensor, units: int) -> Tensor:
    """The entries of the units ``index [S, C, N]`` of ``units`` along an axis."""
    at = _entries(index, value.shape[axis + 2] // units)
    shape = [*value.shape]
    shape[axis + 2] = at.shape[2]
    sized = at.view(*at.shape[:2], *(at.shape[2] if k == axis else 1 for k in range(value.ndim - 2)))
    return value.detach().gather(axis + 2, sized.expand(shape))


def _masked(new: Tensor, old: Tensor, axis: int, is_new: Tensor) -> Tensor:
    return new.where(_along(is_new, old, axis), old)
