"""Hidden units: the entries of a network that can be made new alone, with their inputs and readers.

A unit is an output of a layer of weights, a feature or a channel, that passes activations, norms and pools on its own
and is read by the weights of further layers, and by nothing else. All of it follows from outlines, before a tensor
exists, and from what kinds of blocks say of themselves (``Block.units``). Tests: tests/networks/test_hidden_units.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from composer.networks.blocks import Block
from composer.networks.blocks.sizes import feature_axis
from composer.networks.heads import Head
from composer.networks.outline import Outline, ParameterPlan
from composer.networks.parameter_selectors import ParameterName


class Span(NamedTuple):
    """A module or parameter with ``entries`` adjacent entries per unit on its axis: more than 1 after a flatten."""

    path: str
    entries: int = 1


@dataclass(frozen=True)
class HiddenLayer:
    """The hidden units of one layer. ``path`` is that of its module; parameters have their own paths."""

    path: str
    units: int
    weights: tuple[str, ...]
    """Parameters ``[units, in, ...]``, the mean weight first; a noisy layer has two."""
    vectors: tuple[str, ...]
    """Parameters ``[units]``."""
    gains: tuple[Span, ...]
    """Parameters of norms and scales that belong to single units."""
    activation: Span
    """The last activation."""
    axis: int
    """Axis of units in the activation's output, counted from the last."""
    readers: tuple[Reader, ...]
    norms: tuple[str, ...] = ()
    """``Block.normalises`` of each norm between weights and readers."""

    @property
    def bias(self) -> str | None:
        """The bias, if there is one."""
        return _bias(self.path, self.vectors)

    def parameters(self) -> list[str]:
        """Everything that has an entry of a unit."""
        readers = (weight for reader in self.readers for weight in reader.weights)
        return [*self.weights, *self.vectors, *(gain.path for gain in self.gains), *readers]


class Reader(NamedTuple):
    """A layer whose weights read units, on the axis of its inputs."""

    path: str
    weights: tuple[str, ...]
    """Parameters ``[out, in, ...]``, the mean weight first."""
    bias: str | None
    entries: int
    axis: int
    """Axis of units in its input, counted from the last."""


@dataclass
class _Source:
    """A layer of weights whose readers are being collected."""

    path: str
    units: int
    weights: tuple[str, ...]
    vectors: tuple[str, ...]
    ends: list[tuple[Reader, _Flow]] = field(default_factory=list)
    is_lost: bool = False
    """Whether something other than weights reads it."""


@dataclass(frozen=True)
class _Flow:
    """The units of one layer on one path through the network."""

    source: _Source
    entries: int = 1
    gains: tuple[Span, ...] = ()
    activation: Span | None = None
    axis: int = -1
    norms: tuple[str, ...] = ()
    last: str = ""
    """The last module passed: readers behind the same module read the same numbers."""


def hidden_layers(outline: Outline) -> Iterator[HiddenLayer]:
    """The layers of a network whose units can be made new, in order; the output layer is none."""
    sources: list[_Source] = []
    _lose(_walk_network(outline, sources))
    plans = dict(outline.named_parameters())
    for source in sources:
        if source.is_lost or not source.ends:
            continue
        flow, readers = source.ends[0][1], tuple(reader for reader, _ in source.ends)
        alike = all((other.activation, other.last) == (flow.activation, flow.last) for _, other in source.ends)
        if flow.activation is None or not alike:
            continue
        own, passed = (source.weights, source.vectors), flow.gains
        layer = HiddenLayer(source.path, source.units, *own, passed, flow.activation, flow.axis, readers, flow.norms)
        if all(_can_begin_anew(plans[path]) for path in layer.parameters()):
            yield layer


def _can_begin_anew(plan: ParameterPlan) -> bool:
    """Whether it is trained and an input of it can be 0: not where the weights of each input have unit norm."""
    return plan.trainable and (plan.unit_axis is None or plan.unit_axis % len(plan.shape) == 1)


def chosen_layers(outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> dict[str, list[HiddenLayer]]:
    """By role: the layers whose mean weight is among the chosen parameters."""
    taken = set(chosen)
    found = {
        role: [layer for layer in hidden_layers(outlines[role]) if (role, layer.weights[0]) in taken]
        for role in dict.fromkeys(role for role, _ in chosen)
    }
    return {role: layers for role, layers in found.items() if layers}


def problems_of_choice(outlines: Mapping[str, Outline], chosen: Sequence[ParameterName], verb: str) -> Iterator[str]:
    """What is wrong with a choice of parameters whose units are to be ``verb``, such as ``recycled``."""
    found, taken = chosen_layers(outlines, chosen), set(chosen)
    for role in dict.fromkeys(role for role, _ in chosen):
        layers = found.get(role, [])
        if not layers:
            yield (
                f"no hidden units here can be {verb}: in {role!r} no chosen layer is read, past activations and norms, "
                "by layers of trained weights alone"
            )
        for layer in layers:
            left_out = [path for path in layer.parameters() if (role, path) not in taken]
            if left_out:
                yield (
                    f"the units of {role}.{layer.path} would be {verb}, and 'where' leaves out {role}.{left_out[0]}; "
                    f"choose both, or exclude '!{role}.{layer.path}.*'"
                )
                return


def _walk_network(outline: Outline, sources: list[_Source]) -> _Flow | None:
    """Pass trunk and head. A network that has been injected has more children: its units are read by other terms."""
    if list(outline.children) != ["trunk", "head"]:
        return None
    return _in_turn(outline, "", None, sources)


def _walk(outline: Outline, prefix: str, flow: _Flow | None, sources: list[_Source]) -> _Flow | None:
    """Pass one block; returns the units that leave it, if they are those of one layer."""
    path, kind = prefix.removesuffix("."), Block.of(outline)
    if kind.units == "makes":
        return _made(outline, path, flow, sources)
    if kind.units == "keeps" and _acts_on_features(outline):
        return None if flow is None else _kept(outline, path, flow)
    bare = not outline.parameters and not outline.buffers
    if bare and (kind.is_chain or Head.of(outline).is_chain):
        return _in_turn(outline, prefix, flow, sources)
    if outline.layout in ("residual", "bypass"):
        _lose(flow)  # The sum reads them too.
        flow = _in_turn(outline, prefix, None, sources)
    elif outline.layout == "wired":
        return _wired(outline, prefix, flow, sources)
    elif bare and outline.layout == "parallel":
        for name, child in outline.children.items():
            _lose(_walk(child, f"{prefix}{name}.", flow, sources))
        return None
    _lose(flow)
    return None


def _in_turn(outline: Outline, prefix: str, flow: _Flow | None, sources: list[_Source]) -> _Flow | None:
    for name, child in outline.children.items():
        flow = _walk(child, f"{prefix}{name}.", flow, sources)
    return flow


def _wired(outline: Outline, prefix: str, flow: _Flow | None, sources: list[_Source]) -> _Flow | None:
    """Each block reads the units of an earlier one; units that a join takes in are read by more than weights."""
    flows, last = {"": flow}, flow
    for name, child in outline.children.items():
        wire = outline.wires[name]
        last = _walk(child, f"{prefix}{name}.", flows[wire.reads], sources)
        if wire.joined:
            for lost in (last, *(flows[other] for other in wire.joined)):
                _lose(lost)
            last = None
        flows[name] = last
    return last


def _acts_on_features(outline: Outline) -> bool:
    """Whether a block acts along its input's axis of features, which is that of units."""
    axis = Block.of(outline).axis
    return bool(outline.input) and axis in (None, feature_axis(outline.input, outline.kind))


def _made(outline: Outline, path: str, flow: _Flow | None, sources: list[_Source]) -> _Flow | None:
    """A layer reads the units before it, and its outputs are units themselves."""
    shapes = {f"{path}.{name}": plan.shape for name, plan in outline.parameters.items()}
    weights = tuple(name for name, shape in shapes.items() if len(shape) > 1)
    vectors = tuple(name for name, shape in shapes.items() if len(shape) == 1)
    on_axis = _acts_on_features(outline)
    if flow is not None:
        if on_axis and all(shapes[name][1] == flow.source.units * flow.entries for name in weights):
            axis = feature_axis(outline.input, outline.kind)
            flow.source.ends.append((Reader(path, weights, _bias(path, vectors), flow.entries, axis), flow))
        else:
            _lose(flow)
    if not on_axis:
        return None
    sources.append(_Source(path, shapes[weights[0]][0], weights, vectors))
    return _Flow(sources[-1])


def _kept(outline: Outline, path: str, flow: _Flow) -> _Flow | None:
    """Past a block that keeps units apart; one that makes several entries of each has them side by side."""
    before, after = feature_axis(outline.input, outline.kind), feature_axis(outline.output, outline.kind)
    times, rest = divmod(outline.output[after], outline.input[before])
    if rest or (times > 1 and len(outline.input) + before != 0):
        _lose(flow)  # The features of different tokens are not adjacent.
        return None
    norm = Block.of(outline).normalises
    flow = replace(flow, entries=flow.entries * times, norms=(*flow.norms, *([norm] if norm else [])))
    if Block.of(outline).is_activation:
        return replace(flow, activation=Span(path, flow.entries), axis=after, last=path)
    gains = tuple(Span(f"{path}.{name}", flow.entries) for name in outline.parameters)
    is_reshape = not (outline.flops or outline.parameters or outline.buffers)
    return replace(flow, gains=(*flow.gains, *gains), last=flow.last if is_reshape else path)


def _bias(path: str, vectors: Sequence[str]) -> str | None:
    return next((name for name in vectors if name == f"{path}.bias"), None)


def _lose(flow: _Flow | None) -> None:
    """Units that anything but weights reads cannot be made new alone."""
    if flow is not None:
        flow.source.is_lost = True
