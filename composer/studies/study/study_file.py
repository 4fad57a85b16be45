"""The keys of a study file. What they mean for a point is in ``axes`` and ``settings``.

Tests: tests/studies/study/test_problems.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from composer.blueprint.schema import Seed, Slug
from composer.spec.family import Items, Spec
from composer.spec.seeds import MOST, seeds_in

FORMAT = 1
"""The format of study files that this composer reads."""
MAX_SEEDS = MOST
"""Most seeds of a study, as of a blueprint."""

AXIS = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
"""The name of an axis."""


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _counted(value: object) -> object:
    """``5`` stands for the seeds 0 to 4, ``"0,2,5-7"`` for those in it."""
    if isinstance(value, str):
        return seeds_in(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 1 <= value <= MAX_SEEDS:
        raise ValueError(f"must be 1 to {MAX_SEEDS} seeds or a list of them, got {value:,}")
    return list(range(value))


Strings = Annotated[Items[str], BeforeValidator(_several)]
"""A string, or a list of strings."""


class When(Spec):
    """What else holds at some points: where a boolean axis is true, or where axes have the values that are named."""

    use: Strings = ()
    """Interventions of the registry, which are laid over the blueprint under their own names."""
    variant: Strings = ()
    """Variants of the blueprint, which are laid over it after those of the study."""
    remove: Strings = ()
    """Keys that the blueprint then lacks, such as ``interventions.reset``."""
    set: dict[str, Any] = Field(default={})
    """Values by key, after those of ``[set]``."""


class Limits(Spec):
    """What a study may take without being asked."""

    hours: Annotated[float, Field(gt=0)] = 24.0
    """Of training, with as many processes at a time as were asked for."""
    disk: Annotated[float, Field(gt=0)] = 50.0
    """GiB of run directories; never more than nine tenths of what is free."""
    memory: Annotated[float, Field(gt=0)] | None = None
    """GiB of all processes at a time; by default nine tenths of what is free."""


class StudyFile(Spec):
    """A study: agents (blueprints at the values of axes), tasks and seeds."""

    study: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    """Format of the file: 1."""
    name: Slug | None = None
    """Name of the study and of its folder; by default that of the file."""
    description: Annotated[str, Field(max_length=2_000)] = ""
    """Question that the study answers."""
    blueprint: str | None = None
    """A file beside the study or a shipped blueprint, perhaps with variants: ``FILE@VARIANT+VARIANT``."""
    blueprints: Annotated[Items[str], Field(min_length=1, max_length=64)] | None = None
    """Several blueprints, which are compared: the axis ``blueprint``."""
    suite: str | None = None
    """A set of tasks of registry/suites."""
    tasks: Annotated[Items[str], Field(min_length=1, max_length=256)] | None = None
    """Tasks as the environment names them, in place of a suite; without both, the task of the blueprint."""
    seeds: Annotated[
        Annotated[Items[Seed], Field(min_length=1, max_length=MAX_SEEDS)] | None, BeforeValidator(_counted)
    ] = None
    """How many seeds from 0 on, or a list of them; by default those of the blueprint."""
    axis: dict[str, Items[Any]] = Field(default={}, max_length=16)
    """Values by axis; ``variant`` is the axis of variants of the blueprint."""
    zip: Items[Items[str]] = ()
    """Groups of axes that vary together, the first value with the first; other axes are crossed."""
    exclude: Items[dict[str, Any]] = ()
    """Points that are left out: each a table with a value, or a list of values, by axis."""
    set: dict[str, Any] = Field(default={})
    """Values by key of the blueprint, in which ``${axis.NAME}`` stands for the value of an axis."""
    when: dict[str, When] = Field(default={})
    """What else holds at some points, by condition: ``resets``, ``optimizer=adam``, or several with commas."""
    together: Literal["auto", False] = "auto"
    """Whether points that differ in numbers alone train in one program: ``auto``, where that is measured to pay;
    ``false``, never. It changes the last digits of a run."""
    limits: Limits = Limits()
    """Costs above which it is trained only with ``--yes``."""
    search: dict[str, Any] = Field(default={})
    """Spaces and settings of ``composer search``, which reads them."""
    slurm: dict[str, Any] = Field(default={})
    """Resources that a job of Slurm asks for."""
    ray: dict[str, Any] = Field(default={})
    """Resources that a run takes on a Ray cluster."""
