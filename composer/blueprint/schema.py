"""The root of the language: ``Blueprint``, a whole experiment, and its tables that are no kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from composer.algorithms.base import AgentDeclaration, Algorithm
from composer.algorithms.declared import outlines_of
from composer.algorithms.normalization.spec import Normalization
from composer.diagnostics.base import Diagnostics
from composer.environments.base import Environment
from composer.interventions.base import Intervention
from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.optim.averages import ROLE, Average, averaged_networks
from composer.optim.base import Optimizer
from composer.optim.penalties import Penalty
from composer.replay.sampling import Sampling, Uniform
from composer.spec.family import Items, Spec
from composer.spec.shape import ShapeError
from composer.spec.without import Without
from composer.tracking.base import Tracker
from composer.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from omegaconf import DictConfig

FORMAT = 1
"""The format that this composer reads and writes."""

SLUG = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""A name that is safe as a folder."""
SLUG_RULE = "use [a-z0-9._-], 1 to 64 characters, the first a letter or a digit"
ROLE_RULE = "use a name of [a-z0-9_], 1 to 64 characters, the first a letter"

Slug = Annotated[str, Field(pattern=SLUG)]
"""A name that is safe as a folder's: small letters, digits and ``._-``."""
Role = Annotated[str, Field(pattern=ROLE)]
"""The name of a network, an average or a learned number."""
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
EnvSteps = Annotated[int, Field(ge=1, le=10**12)]
"""A number of environment steps: control steps of the simulator, counted with action repeat and copies."""


def is_slug(name: str) -> bool:
    """Whether a name is safe as a folder's."""
    return re.fullmatch(SLUG.strip("^$"), name) is not None


class Replay(Spec):
    """The replay memory: transitions from which updates draw."""

    capacity: Annotated[int, Field(ge=1, le=10**10)] = 1_000_000
    """Transitions that each seed keeps, the newest ones."""
    sampling: Sampling = Uniform()
    """How updates draw transitions."""
    storage: Literal["auto", "device", "host", "disk"] = "auto"
    """Where transitions are stored: on the learner's device; in host memory, from which batches go to a GPU; or in
    files of the run directory, deleted when the run ends. ``auto`` takes the first of these that has room when the run
    starts. With a CPU learner all give equal numbers; with a GPU, batches from elsewhere use other random numbers."""


class Divergence(Spec):
    """Bounds beyond which a run has diverged and ends (exit code 5). Numbers that are not finite always end it."""

    metrics: Annotated[float, Field(ge=0.0, le=1e30)] = 1e12
    """Largest size of a mean that updates report, such as a loss or a value; 0 for no bound."""
    parameters: Annotated[float, Field(ge=0.0, le=1e30)] = 1e8
    """Largest size of an entry of a parameter; 0 for no bound. Read when metrics are."""


class Training(Spec):
    """The length of the run, and how data are collected."""

    env_steps: EnvSteps
    """Length of the run, per seed."""
    log_every: EnvSteps = 1_000
    """Environment steps between two rows of metrics."""
    acting: Annotated[dict[Role, Role], Without({})] = Field(default={}, max_length=64)
    """Averages that act instead of networks while data are collected, by role: BBF acts with its target."""
    divergence: Divergence = Divergence()
    """Bounds on metrics and parameters, far beyond those of runs that learn."""
    overlap: bool = False
    """Whether environments step while updates run, which then learn from data stored before that step. Faster with
    ``environment.workers``, and with updates on a GPU. Numbers differ from those without, and are as reproducible."""


class Evaluation(Spec):
    """Episodes without exploration, in environments of their own, that leave training unchanged."""

    every: EnvSteps = 10_000
    """Environment steps between two evaluations; the last evaluation follows the last step."""
    episodes: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Episodes per seed in each evaluation."""
    acting: Annotated[dict[Role, Role], Without({})] = Field(default={}, max_length=64)
    """Averages that are evaluated instead of networks, by role."""


class Checkpoint(Spec):
    """Saved states from which a run continues exactly."""

    every: EnvSteps = 50_000
    """Environment steps between two checkpoints; the last checkpoint follows the last step."""
    keep: Annotated[int, Field(ge=2, le=1_000)] = 2
    """Newest checkpoints kept on disk; at least two, in case one is damaged."""


class Compute(Spec):
    """Devices, compilation and precision: how the run is computed, without any number of the method."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of all tensors; ``auto`` takes a GPU where there is one."""
    compile: Literal["auto", "always", "never", "measured", "background"] = "auto"
    """Whether the update is compiled. ``auto`` compiles where the run is long enough; ``measured`` compiles,
    times both and keeps the faster; ``background`` trains eagerly while another process compiles, then switches.
    Compiled and eager numbers differ by rounding, so that the last two may not be reproduced exactly."""
    reproducible: bool = True
    """Whether ``compile = "auto"`` chooses what gives equal numbers each time. ``false`` declares that numbers may
    change within rounding in the middle of a run: on a CPU ``auto`` then does what ``background`` does wherever the
    updates repay a compile, and training does not wait for it."""
    updates_per_call: Annotated[int, Field(ge=1, le=64)] = 1
    """Updates in one call of the program, where several are due at once and do not depend on new data: with an
    ``update_to_data`` above 1, or on rollouts. Numbers are equal up to rounding; compiling takes that much longer.
    It saves calls, which matters for very short updates only (docs/guide/speed.md)."""
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    """Precision of matrix products: exact float32; TF32 on GPUs that have it; or bfloat16 autocast of networks, with
    parameters, losses and optimizers in float32."""
    threads: Literal["auto"] | Annotated[int, Field(ge=0, le=1_024)] = "auto"
    """Threads of one operation. ``auto`` takes what ``OMP_NUM_THREADS`` says, as sweeps set it, else as many as there
    are cores in the affinity and the cgroup quota of the process; 0 leaves the choice to torch."""


class Blueprint(Spec):
    """A whole experiment: environment, networks, algorithm, interventions, length, measurements and tracking."""

    blueprint: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    """Format of the file: 1."""
    name: Slug
    """Short name of the experiment, used in names of folders."""
    description: Annotated[str, Field(max_length=2_000)] = ""
    """Purpose of the experiment."""
    requires: Annotated[Items[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=64)] = ()
    """Plug-in distributions whose kinds and parts are used."""
    seeds: Annotated[Items[Seed], Field(min_length=1, max_length=64)]
    """One agent is trained for each seed, all in one program."""
    environment: Environment
    """Environment or data that the agent learns from."""
    algorithm: Algorithm
    """Learning algorithm."""
    networks: Annotated[dict[Role, Network], Field(min_length=1, max_length=64)]
    """Networks by the role that the algorithm gives them."""
    averages: dict[Role, Average] = Field(default={}, max_length=64)
    """Slow copies of networks, by name."""
    interventions: Annotated[dict[Role, Intervention], Without({})] = Field(default={}, max_length=64)
    """Changes to networks while they learn, by name; those that fire together fire in this order."""
    penalties: Annotated[dict[Role, Penalty], Without({})] = Field(default={}, max_length=64)
    """Terms of losses that pull parameters, by name."""
    optimizers: Annotated[dict[Role, Optimizer], Field(min_length=1, max_length=64)]
    """One optimizer for every trained role."""
    normalization: Normalization = Normalization()
    """Normalisation by running statistics."""
    replay: Replay = Replay()
    """The replay memory."""
    training: Training
    """The length of the run."""
    evaluation: Evaluation = Evaluation()
    """When and how the agent is evaluated."""
    diagnostics: Diagnostics = Diagnostics()
    """Measurements of the networks, and when they are made."""
    checkpoint: Checkpoint = Checkpoint()
    """When checkpoints are saved."""
    compute: Compute = Compute()
    """How the run is computed."""
    tracking: Tracker = MlflowTracker()
    """Where metrics are sent."""

    def to_omegaconf(self) -> DictConfig:
        """The resolved blueprint as a read-only config of OmegaConf; ``composer.loads`` reads it as an equal one."""
        from composer.blueprint.omegaconf_boundary import to_config

        return to_config(self)

    @cached_property
    def outlines(self) -> Mapping[str, Outline | ShapeError]:
        """The outline of one copy of each network that the algorithm knows, or why it has none. Computed once."""
        info = self.environment.info
        return outlines_of(self.algorithm.roles(info), self.networks, info.action_size)

    @cached_property
    def sound_outlines(self) -> Mapping[str, Outline]:
        """The outlines of networks whose shapes match, one copy each, by role."""
        return {role: found for role, found in self.outlines.items() if isinstance(found, Outline)}

    @cached_property
    def trained_outlines(self) -> Mapping[str, Outline]:
        """The same with learned scalars: everything that interventions, penalties and optimizers may name."""
        return {**self.sound_outlines, **self.algorithm.learned_scalars()}

    @property
    def learning_outlines(self) -> Mapping[str, Outline]:
        """Those of networks that learn, which diagnostics read."""
        roles = self.algorithm.learning_roles(self.environment.info)
        return {role: found for role, found in self.sound_outlines.items() if role in roles}

    @cached_property
    def averaged_networks(self) -> Mapping[str, str]:
        """The network of each average, perhaps through other averages."""
        return averaged_networks(self.averages)

    @property
    def agent(self) -> AgentDeclaration:
        """The parts of the blueprint from which a learner is built."""
        return AgentDeclaration(
            seeds=self.seeds,
            environment=self.environment,
            algorithm=self.algorithm,
            networks=self.networks,
            outlines=self.outlines,
            averages=self.averages,
            optimizers=self.optimizers,
            penalties=self.penalties,
            interventions=self.interventions,
            normalization=self.normalization,
            acting=self.training.acting,
            evaluated=self.evaluation.acting,
            precision=self.compute.precision,
            updates_per_call=self.compute.updates_per_call,
        )

    @cached_property
    def derived(self) -> dict[str, Any]:
        """Results that other modules computed from this blueprint and keep with it: its checks, its memory forecast."""
        return {}

    @field_validator("seeds")
    @classmethod
    def _are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        for index, seed in enumerate(seeds):
            if seed in seeds[:index]:
                raise ValueError(f"seed {seed} is listed twice")
        return seeds
