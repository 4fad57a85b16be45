"""Performs plasticity injections: builds the network with its new terms around the tensors it has.

Seeds may be injected at different times. Terms are added for all of them at once; until a seed's own firing its terms
cancel exactly and are not trained. Legend: S seeds, C copies.
Tests: tests/interventions/test_injection.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from composer.interventions.base import Growth
from composer.interventions.inject import split_of
from composer.networks.blocks.base import in_a_row
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.spec.lazy_call import LazyCall, call


class Holder(Protocol):
    """Whoever holds the network: a learner."""

    seeds: tuple[int, ...]
    device: str

    @property
    def networks(self) -> Mapping[str, Stacked]:
        """Networks by role."""

    @property
    def outlines(self) -> Mapping[str, Outline]:
        """Outlines of one copy, by role."""

    def averaged_roles(self) -> Mapping[str, tuple[str, Stacked]]:
        """Averages by name, each with the role that it follows."""

    def restructure(
        self,
        role: str,
        template: Template,
        outline: Outline,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        frozen: Mapping[str, Tensor],
    ) -> None:
        """Replace a network."""


@dataclass
class Injector:
    """All injections of one network by one intervention."""

    learner: Holder
    name: str
    growth: Growth
    role: str
    chosen: tuple[str, ...]
    network: LazyCall
    """How the network without injections is built: a call of ``TrunkAndHead``."""
    per_seed: bool
    """Whether seeds are injected at different times."""

    def __post_init__(self) -> None:
        """Cut the network into encoder and tail."""
        self.terms = 0
        self._original = self.learner.outlines[self.role]
        self._split = split_of(self._original, self.chosen)
        self._held: dict[str, Tensor] = {}

    def inject(self, counts: Tensor) -> None:
        """Bring the network to injections of each seed ``counts [S]``; adds terms where there are too few."""
        if int(counts.max()) > self.terms:
            self._grow(int(counts.max()))
        for path, mask in self._held.items():
            mask.copy_(self._is_frozen(path, counts).to(mask.device))

    def trained(self, counts: Tensor) -> list[int]:
        """Trained entries of the network for each seed after ``counts [S]`` injections."""
        parameters = self.learner.networks[self.role].parameters
        totals = torch.zeros_like(counts)
        for path, value in parameters.items():
            if value.requires_grad:
                totals += value[0].numel() * (~self._is_frozen(path, counts)).to(torch.int64)
        return [int(total) for total in totals]

    def _grow(self, terms: int) -> None:
        """Add terms up to ``terms``, each a fresh draw and its equal twin."""
        learner, network = self.learner, self.learner.networks[self.role]
        parameters, buffers = dict(network.parameters), dict(network.buffers)
        averages = [each for of, each in learner.averaged_roles().values() if of == self.role]
        for index in range(self.terms, terms):
            stream = ("intervention", self.name, index, self.role)
            drawn = fresh_stack(self._tail, learner.seeds, network.copies, *stream, device=learner.device)
            state = fresh_buffers(self._tail, learner.seeds, network.copies, *stream, device=learner.device)
            for path, value in drawn.items():
                parameters[f"injections.{index}.new.{path}"] = value
                if self.growth.has_twin:
                    parameters[f"injections.{index}.twin.{path}"] = value.detach().clone()
            for path, value in state.items():
                buffers[f"injections.{index}.new.{path}"] = value
                if self.growth.has_twin:
                    buffers[f"injections.{index}.twin.{path}"] = value.clone()
        self.terms = terms
        outline, template = self._outline(), Template(self._call().make)
        for average in averages:
            average.template = template
            average.parameters |= _missing(parameters, average.parameters)
            average.buffers |= _missing(buffers, average.buffers)
        self._freeze(parameters)
        parameters = {path: parameters[path] for path, _ in outline.named_parameters()}
        learner.restructure(self.role, template, outline, parameters, buffers, self._held)

    def _freeze(self, parameters: Mapping[str, Tensor]) -> None:
        """Freeze parameters; where seeds differ, masks say for which of them."""
        seeds = len(self.learner.seeds)
        full = torch.full((seeds,), self.terms)
        self._held = {}
        for path, value in parameters.items():
            twin = ".twin." in path and path.startswith("injections.")
            frozen = bool(self._is_frozen(path, full).all())
            value.requires_grad_(not twin and (self.per_seed or not frozen) and self._was_trained(path))
            if self.per_seed and value.requires_grad and self._may_be_frozen(path):
                self._held[path] = torch.zeros(seeds, dtype=torch.bool, device=value.device)

    def _may_be_frozen(self, path: str) -> bool:
        return path in self.chosen or path.startswith("injections.")

    def _is_frozen(self, path: str, counts: Tensor) -> Tensor:
        """For which seeds a parameter is not trained after ``counts [S]`` injections."""
        if path.startswith("injections."):
            _, index, term, _ = path.split(".", 3)
            first = int(index) + 1
            over = counts != first if self.growth.freezes_original else counts < first
            return over | (term == "twin")
        if path in self.chosen and self.growth.freezes_original:
            return counts > 0
        return torch.zeros_like(counts, dtype=torch.bool)

    def _was_trained(self, path: str) -> bool:
        plans = dict(self._original.named_parameters())
        if path.startswith("injections."):
            path = self._own_path(path.split(".", 3)[3])
        return plans[path].trainable

    @property
    def _tail(self) -> Outline:
        """The last layers as an outline of their own: children ``trunk`` and ``head``."""
        trunk, head = self._original.children["trunk"], self._original.children["head"]
        blocks = list(in_a_row(trunk).values())
        tail = {str(index): block for index, block in enumerate(blocks[self._split :])}
        shape = head.input
        inside = Outline("sequence", next(iter(tail.values())).input if tail else shape, shape, children=tail)
        return Outline("tail", inside.input, head.output, children={"trunk": inside, "head": head})

    def _own_path(self, path: str) -> str:
        """The network's own name of a parameter of the tail."""
        if path.startswith("head."):
            return path
        _, index, rest = path.split(".", 2)
        if self._is_one_block:
            return f"trunk.{rest}"
        return f"trunk.{int(index) + self._split}.{rest}"

    def _outline(self) -> Outline:
        """The network with its injections, its first children those of the network without."""
        tail = self._tail
        terms: dict[str, Outline] = {}
        for index in range(self.terms):
            pair = {"new": tail} | ({"twin": tail} if self.growth.has_twin else {})
            terms[str(index)] = Outline("injection", tail.input, tail.output, children=pair)
        injections = Outline("injections", tail.input, tail.output, children=terms)
        return replace(self._original, kind="injected", children={**self._original.children, "injections": injections})

    @property
    def _is_one_block(self) -> bool:
        return "" in in_a_row(self._original.children["trunk"])

    def _call(self) -> LazyCall:
        trunk, head = self.network.args
        layers = (trunk,) if self._is_one_block else trunk.args
        tail = call(
            "composer.networks.modules.injected:Tail", call("torch.nn:Sequential", *layers[self._split :]), head
        )
        twin = tail if self.growth.has_twin else None
        pairs = [call("composer.networks.modules.injected:Injection", tail, twin) for _ in range(self.terms)]
        return call("composer.networks.modules.injected:Injected", trunk, head, self._split, pairs)


def relative_change(before: Tensor, after: Tensor) -> float:
    """Largest change of an output relative to the largest output, of tensors of one shape."""
    return float((after - before).abs().max() / before.abs().max().clamp_min(1e-30))


def outputs(network: Stacked, probe: Tensor) -> Tensor:
    """A network's outputs in evaluation mode."""
    answer: Tensor = network(probe)
    return answer.detach().clone()


def _missing(tensors: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the tensors that are not there yet."""
    return {path: value.detach().clone() for path, value in tensors.items() if path not in there}
