"""Hidden units: which entries of a network can be made new alone, what each reads and what reads it.

A unit is an output of a weighted layer, a feature or a channel, that passes activations, norms and pools on its own and
is read by the weights of further layers, and by nothing else. Told from outlines, before a tensor exists.
Tests: tests/networks/test_hidden_units.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from composer.networks.blocks import Block
from composer.networks.blocks.sizes import feature_axis
from composer.networks.heads import Head
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import Place

WEIGHTED = ("linear", "conv")
"""Kinds with one plain weight ``[out, in, ...]``."""
CHAINS = ("network", "sequence", "repeat", "restore_width", "frozen", "detached")
"""Kinds whose children come one after another."""
CHANNELWISE = ("max_pool", "average_pool", "global_average_pool")
ENTRYWISE = ("dropout", "identity", "scale", "batch_norm", "batch_renorm", "group_norm", "rs_norm")
LAST_AXIS = ("layer_norm", "rms_norm", "unit_norm", "scaler")
"""Kinds whose parameters are those of the last axis, which is no unit's in an image."""


class Span(NamedTuple):
    """Something that has ``entries`` neighbours for each unit along the axis of units: more than 1 after a flatten."""

    path: str
    entries: int = 1


@dataclass(frozen=True)
class HiddenLayer:
    """The hidden units of one layer. Paths are those of modules; ``weight`` and ``bias`` stand below."""

    path: str
    units: int
    bias: bool
    gains: tuple[Span, ...]
    """Parameters of norms that belong to single units, by their own paths."""
    activation: Span
    """The last activation."""
    axis: int
    """Axis of units in the activation's output, counted from the last."""
    readers: tuple[Reader, ...]

    def parameters(self) -> list[str]:
        """Everything that has an entry of a unit."""
        own = [f"{self.path}.weight", *([f"{self.path}.bias"] if self.bias else [])]
        return [*own, *(gain.path for gain in self.gains), *(f"{reader.path}.weight" for reader in self.readers)]


class Reader(NamedTuple):
    """A layer whose weight reads units, on the axis of its inputs."""

    path: str
    entries: int
    bias: bool
    axis: int
    """Axis of units in its input, counted from the last."""


@dataclass
class _Source:
    """A weighted layer, while it is found out who reads it."""

    path: str
    outline: Outline
    ends: list[tuple[Reader, _Flow]] = field(default_factory=list)
    is_lost: bool = False
    """Whether something reads it otherwise than through a plain weight."""


@dataclass(frozen=True)
class _Flow:
    """The units of one layer on one way through the network."""

    source: _Source
    entries: int = 1
    gains: tuple[Span, ...] = ()
    activation: Span | None = None
    axis: int = -1
    last: str = ""
    """The last module passed: who reads after the same one reads the same numbers."""


def hidden_layers(outline: Outline) -> Iterator[HiddenLayer]:
    """The layers of a network whose units can be made new, in order; the output layer is none."""
    sources: list[_Source] = []
    _lose(_walk(outline, "", None, sources))
    plans = dict(outline.named_parameters())
    for source in sources:
        if source.is_lost or not source.ends:
            continue
        flow = source.ends[0][1]
        alike = all((other.activation, other.last) == (flow.activation, flow.last) for _, other in source.ends)
        if flow.activation is None or not alike:
            continue
        readers = tuple(reader for reader, _ in source.ends)
        weight, bias = source.outline.parameters["weight"], "bias" in source.outline.parameters
        layer = HiddenLayer(source.path, weight.shape[0], bias, flow.gains, flow.activation, flow.axis, readers)
        if all(plans[path].trainable and plans[path].unit_axis is None for path in layer.parameters()):
            yield layer


def chosen_layers(outlines: Mapping[str, Outline], chosen: Sequence[Place]) -> dict[str, list[HiddenLayer]]:
    """By role: the layers whose weight, what their units read by, is among the chosen parameters."""
    taken = set(chosen)
    found = {
        role: [layer for layer in hidden_layers(outlines[role]) if (role, f"{layer.path}.weight") in taken]
        for role in dict.fromkeys(role for role, _ in chosen)
    }
    return {role: layers for role, layers in found.items() if layers}


def problems_of_choice(outlines: Mapping[str, Outline], chosen: Sequence[Place], verb: str) -> Iterator[str]:
    """What is wrong with a choice of parameters whose units are to be ``verb``, such as ``recycled``."""
    found, taken = chosen_layers(outlines, chosen), set(chosen)
    for role in dict.fromkeys(role for role, _ in chosen):
        layers = found.get(role, [])
        if not layers:
            yield (
                f"no hidden units here can be {verb}: in {role!r} no chosen layer is read, past activations and norms, "
                "by trained 'linear' or 'conv' layers alone"
            )
        for layer in layers:
            left_out = [path for path in layer.parameters() if (role, path) not in taken]
            if left_out:
                yield (
                    f"the units of {role}.{layer.path} would be {verb}, and 'where' leaves out {role}.{left_out[0]}; "
                    f"choose both, or exclude '!{role}.{layer.path}.*'"
                )
                return


def _walk(outline: Outline, prefix: str, flow: _Flow | None, sources: list[_Source]) -> _Flow | None:
    """Pass one block; returns the units that leave it, if they are those of one layer."""
    path = prefix.removesuffix(".")
    if outline.kind in WEIGHTED:
        return _weighted(outline, path, flow, sources)
    if _is_transparent(outline):
        return None if flow is None else _passed(outline, path, flow)
    bare = not outline.parameters and not outline.buffers
    dense_head = outline.kind in Head.kinds() and list(outline.children) == ["linear"]
    if bare and (outline.kind in CHAINS or dense_head):
        for name, child in outline.children.items():
            flow = _walk(child, f"{prefix}{name}.", flow, sources)
        return flow
    if outline.layout == "residual":
        _lose(flow)  # Read by what comes after the sum, too.
        flow = None
        for name, child in outline.children.items():
            flow = _walk(child, f"{prefix}{name}.", flow, sources)
    elif bare and outline.layout == "parallel":
        for name, child in outline.children.items():
            _lose(_walk(child, f"{prefix}{name}.", flow, sources))
        return None
    _lose(flow)
    return None


def _weighted(outline: Outline, path: str, flow: _Flow | None, sources: list[_Source]) -> _Flow | None:
    """A layer reads the units before it, and its outputs are units themselves."""
    axis = -3 if outline.kind == "conv" else -1
    on_axis = axis == feature_axis(outline.input, outline.kind)
    if flow is not None:
        units, inputs = flow.source.outline.parameters["weight"].shape[0], outline.parameters["weight"].shape[1]
        if on_axis and inputs == units * flow.entries:
            bias = "bias" in outline.parameters
            flow.source.ends.append((Reader(path, flow.entries, bias, axis), flow))
        else:
            _lose(flow)
    if not on_axis:
        return None
    sources.append(_Source(path, outline))
    return _Flow(sources[-1])


def _is_transparent(outline: Outline) -> bool:
    kind, is_image = Block.kinds().get(outline.kind), len(outline.input) == 3
    if outline.kind == "flatten":
        return len(outline.input) in (1, 3)  # Of tokens the features are no neighbours.
    if outline.kind in LAST_AXIS:
        return not is_image
    is_activation = kind is not None and kind.is_activation and outline.output == outline.input
    return is_activation or outline.kind in (*CHANNELWISE, *ENTRYWISE)


def _passed(outline: Outline, path: str, flow: _Flow) -> _Flow:
    """Past a block that keeps units apart."""
    if outline.kind == "flatten":
        width = flow.source.outline.parameters["weight"].shape[0]
        return replace(flow, entries=outline.output[0] // width)
    kind = Block.kinds()[outline.kind]
    if kind.is_activation:
        axis = feature_axis(outline.output, outline.kind)
        return replace(flow, activation=Span(path, flow.entries), axis=axis, last=path)
    gains = tuple(Span(f"{path}.{name}", flow.entries) for name in outline.parameters)
    return replace(flow, gains=(*flow.gains, *gains), last=path)


def _lose(flow: _Flow | None) -> None:
    """What is read by anything but a weight cannot be made new alone."""
    if flow is not None:
        flow.source.is_lost = True
