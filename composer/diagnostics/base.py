"""The family of diagnostics: measures of the networks of a run while they learn, and their intervals.

A measure reads a ``View``, one moment of a learner on a fixed batch, and changes nothing of it. The specs are free of
torch; formulas are in ``composer.diagnostics.formulas``. Tests: tests/diagnostics/, tests/papers/test_measures.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.networks.outline import Outline
from composer.spec.family import Family, Items, Spec
from composer.spec.metrics import Metric
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from composer.diagnostics.interface import View

EnvSteps = Annotated[int, Field(ge=1, le=10**12)]
RoleName = Annotated[str, Field(min_length=1, max_length=64)]

PREFIX = "diagnostics/"
"""With which the names of all metrics of measures begin."""

Readings = dict[str, "Tensor"]
"""Values ``[S]`` by name: ``critic/srank``, and of one layer ``critic/layers/trunk.0/parameter_norm``."""
Memory = dict[str, "Tensor"]
"""The memory of a measure between two readings, by name: saved with the run."""


class Diagnostic(Family, family="diagnostic"):
    """Something that is measured, for each seed, on the probe batch.

    A metric is named ``diagnostics/ROLE/NAME.vN``. N is the kind's ``version``: where a definition changes, so does the
    name, and no curve is drawn through two definitions.
    """

    version: ClassVar[int] = 1
    meanings: ClassVar[tuple[Metric, ...]] = ()
    """Meaning, unit and range by name without role and version; the kind's summary where one is absent."""

    every: EnvSteps | None = None
    """Environment steps between two readings; those of ``diagnostics`` where it is not given."""
    roles: Annotated[Items[RoleName], Field(max_length=64)] = ()
    """Networks to read; all of them where none is named."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The metrics of one network, without role and version."""

    @abstractmethod
    def read(self, view: View, memory: Memory) -> Readings:
        """The values of one moment; ``memory`` holds what the last reading kept."""

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """What is wrong with this measure for these networks: pairs of key and message."""
        for index, role in enumerate(self.roles):
            if role not in outlines:
                yield f"roles[{index}]", f"no network named {role!r}{suggestion(role, outlines)}"

    def chosen(self, networks: Iterable[str]) -> tuple[str, ...]:
        """The networks that are read, of all those that there are."""
        return self.roles or tuple(networks)

    def reports(self, networks: Iterable[str]) -> tuple[str, ...]:
        """What is reported of whole networks, without version: ``critic/srank``."""
        return tuple(f"{role}/{name}" for role in self.chosen(networks) for name in self.names())

    def metrics(self, outlines: Mapping[str, Outline]) -> Iterator[Metric]:
        """All that it writes for these networks."""
        return map(self.metric, self.reports(outlines))

    def metric(self, name: str) -> Metric:
        """The metric of a name such as ``critic/srank``, with its prefix and version."""
        known = {each.name: each for each in self.meanings}
        found = known.get(name.rpartition("/")[2], Metric("", self.summary().rstrip(".")))
        return found._replace(name=f"{PREFIX}{name}.v{self.version}")


class NetworkDiagnostic(Diagnostic, abstract=True):
    """A measure that reads one network at a time and remembers nothing."""

    reported: ClassVar[tuple[str, ...]] = ()

    @override
    def names(self) -> tuple[str, ...]:
        return self.reported

    @abstractmethod
    def measure(self, view: View, role: str) -> Readings:
        """The values of one network by name, without its role."""

    @override
    def read(self, view: View, memory: Memory) -> Readings:
        found = {role: self.measure(view, role) for role in self.chosen(view.networks)}
        return {f"{role}/{name}": value for role, values in found.items() for name, value in values.items()}


class LayerDiagnostic(NetworkDiagnostic, abstract=True):
    """A measure of a whole network that can be read layer by layer too."""

    layers: bool = False
    """Whether each layer is reported too, as ``ROLE/layers/PATH/NAME``."""

    def layers_of(self, outline: Outline) -> Iterable[str]:
        """Paths of the layers that are reported of one network: by default the modules with trainable parameters."""
        trained = (path for path, plan in outline.named_parameters() if plan.trainable)
        return dict.fromkeys(path.rpartition(".")[0] for path in trained)

    @override
    def metrics(self, outlines: Mapping[str, Outline]) -> Iterator[Metric]:
        yield from super().metrics(outlines)
        for role in filter(outlines.__contains__, self.chosen(outlines)) if self.layers else ():
            for layer in (*self.layers_of(outlines[role]), "injections.*"):
                found = self.metric(f"{role}/layers/{layer}/{self.names()[0]}")
                added = "after plasticity injections" if "*" in layer else found.condition
                yield found._replace(meaning=f"{found.meaning}, of one layer", condition=added)


class Diagnostics(Spec):
    """Measures of the networks while they learn; none by default."""

    every: EnvSteps = 10_000
    """Environment steps between two readings; the last one follows the last step."""
    batch: Annotated[int, Field(ge=2, le=65_536)] = 512
    """Transitions of one seed in the probe batch; ranks and dead units depend on it."""
    probe: Literal["fixed", "newest"] = "fixed"
    """The probe batch: ``fixed``, drawn from the replay at the first reading and kept, so that values differ by the
    networks alone; or the ``newest`` transitions of each reading."""
    measures: Annotated[Items[Diagnostic], Field(max_length=64)] = ()
    """The measures, in order."""

    def every_of(self, measure: Diagnostic) -> int:
        """Environment steps between two readings of one measure."""
        return measure.every or self.every

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """What is wrong for these networks: pairs of key and message. No metric may be reported twice."""
        reported: dict[str, int] = {}
        for index, measure in enumerate(self.measures):
            for key, message in measure.problems(outlines):
                yield f"measures[{index}].{key}", message
            taken = [name for name in measure.reports(outlines) if reported.setdefault(name, index) != index]
            if taken:
                yield f"measures[{index}]", f"{taken[0]} is reported by measures[{reported[taken[0]]}] already"
