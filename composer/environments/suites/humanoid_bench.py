"""HumanoidBench's locomotion. Source: Sferrazza et al., arXiv:2403.10506; github.com/carlosferrazza/humanoid-bench.

The package is on no index: users install it themselves. Tests: tests/environments/test_registered.py, with a stand-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator
from typing_extensions import override

from composer.environments.suites.registered import RegisteredSuite
from composer.environments.suites.task_tables import known, task_table

if TYPE_CHECKING:
    from gymnasium import Env


class HumanoidBench(RegisteredSuite, kind="humanoid_bench"):
    """A task of a Unitree H1, without hands (19 actions) or with them (61).

    Success is a return: ``composer compare`` normalises by the table ``humanoid_bench``. Other robots and tasks are
    registered with Gymnasium too: ``{ kind = "gymnasium", module = "humanoid_bench", id = "h1hand-push-v0" }``.
    """

    package: ClassVar[str] = "humanoid_bench"
    install: ClassVar[str] = "pip install git+https://github.com/carlosferrazza/humanoid-bench (docs/guide/suites.md)"
    first_env_steps: ClassVar[int] = 2_000_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "humanoid_bench", "task": "h1-walk-v0"}

    task: Annotated[str, AfterValidator(lambda name: known(name, task_table("humanoid_bench"), "HumanoidBench task"))]
    """Robot and task, as the package registers them."""

    @override
    def wrapped(self, made: Env[Any, Any]) -> Env[Any, Any]:
        """Goals of ``reach`` and places of ``sit_hard`` are drawn from NumPy's global generator, unseeded."""
        from composer.environments.suites.global_draws import GlobalDraws

        return GlobalDraws(made)
