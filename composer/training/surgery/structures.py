"""What interventions do beyond rewriting tensors: injected terms, growth, and a twin that learns beside the agent.

Legend: S seeds. Tests: tests/interventions/test_injection.py, test_growth.py, test_alternate.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.interventions.base import Intervention
from composer.interventions.clocks import Lengths
from composer.networks.parameter_selectors import ParameterName
from composer.spec.shape import Shape
from composer.training.surgery.errors import SurgeryError
from composer.training.surgery.growth import Growths
from composer.training.surgery.injection import Injector, outputs, relative_change
from composer.training.surgery.twin import Twin

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.replay.transitions import Minibatch
    from composer.training.learner import Learner

OUTPUT_TOLERANCE = 1e-6
"""Largest change of outputs, relative to the largest, that an injection may make: rounding of float32."""


class Structures:
    """The injections, the growth and the twin of a run."""

    def __init__(
        self,
        interventions: Mapping[str, Intervention],
        agent: AgentDeclaration,
        learner: Learner,
        lengths: Lengths,
        chosen: Mapping[str, Sequence[ParameterName]],
    ) -> None:
        """``chosen`` are the parameters of each intervention at the start."""
        self._learner, self._injectors = learner, {}
        for name, each in interventions.items():
            if each.do.growth is not None:
                role, paths = chosen[name][0][0], tuple(path for _, path in chosen[name])
                alone = each.when.is_per_seed(lengths) and len(learner.seeds) > 1
                module = agent.module(role)
                self._injectors[name] = Injector(learner, name, each.do.growth, role, paths, module, alone)
        self.growths = Growths(interventions, agent, learner)
        alternating = [(name, each) for name, each in interventions.items() if each.do.needs_twin]
        self._twin = Twin(*alternating[0], agent, learner) if alternating else None

    @property
    def grown(self) -> set[str]:
        """Networks that have grown."""
        return self.growths.grown

    def learned(self, batches: Sequence[Minibatch]) -> None:
        """Let the twin learn what the agent has just learned from."""
        if self._twin is not None:
            self._twin.learn(batches)

    def tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """The state beside counts of firings: name of an intervention, name of the tensor, the tensor itself."""
        yield from self.growths.tensors()
        if self._twin is not None:
            yield from self._twin.tensors()

    def restore(self, fired: Mapping[str, Tensor]) -> None:
        """Give networks the structure that they had after the firings ``fired [S]`` and the loaded state."""
        for name, injector in self._injectors.items():
            injector.inject(fired[name])
        self.growths.restore()

    def fire(self, name: str, fired: Tensor, seeds: Tensor) -> dict[str, Any]:
        """What the firing of an intervention for the ``seeds`` of a mask, after ``fired [S]``, does to structure.

        Returns what its event says, lists by seed.
        """
        if name in self._injectors:
            return self._inject(name, fired, seeds)
        if self._twin is not None and name == self._twin.name:
            return self._twin.exchange(fired, seeds)
        if name not in self.growths:
            return {}
        if not seeds.all():
            raise SurgeryError(f"the growth {name!r} fires for some seeds, and the networks of all have one shape")
        return self.growths.fire(name, int(fired[0]), self._probe)

    def _inject(self, name: str, fired: Tensor, seeds: Tensor) -> dict[str, Any]:
        """Inject; assert that outputs stay where that is promised, and the count of trained parameters."""
        injector = self._injectors[name]
        networks = [self._learner.networks[injector.role]]
        networks += [each for of, each in self._learner.averaged_roles().values() if of == injector.role]
        probe = self._probe(self._learner.outlines[injector.role].input)
        before, trained = [outputs(network, probe) for network in networks], injector.trained(fired)
        injector.inject(fired + seeds)
        change = max(relative_change(old, outputs(new, probe)) for old, new in zip(before, networks, strict=True))
        now = injector.trained(fired + seeds)
        if injector.growth.has_twin and change > OUTPUT_TOLERANCE:
            raise SurgeryError(f"the injection {name!r} changed outputs by {change:.1e}, relative to the largest")
        if injector.growth.freezes_original and now != trained:
            raise SurgeryError(f"the injection {name!r} changed the count of trained parameters: {trained} to {now}")
        return {"output_change": change, "trainable_before": trained, "trainable_after": now}

    def _probe(self, shape: Shape) -> Tensor:
        """Unit-normal inputs ``[S, 64, ...]``, the same for every seed and firing."""
        draw = torch.randn(64, *shape, generator=torch.Generator().manual_seed(0))
        return draw.expand(len(self._learner.seeds), *draw.shape).to(self._learner.device)
