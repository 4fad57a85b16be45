"""The files of an exported policy: ``torch.export`` and ONNX, written and read back. No pickle in either.

Tests: tests/training/export/test_export.py.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from composer.spec.errors import ComposerError
from composer.training.export.codecs import Observation
from composer.training.export.policy import Policy

Call = Callable[[Observation], Tensor]
"""The policy in a file: a batch of observations to a batch of actions."""


class ExportFailed(ComposerError, RuntimeError):
    """The policy cannot be exported as asked; no file was left."""

    exit_code = 2


class Format(ABC):
    """A format of files."""

    name: ClassVar[str]
    file: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]]
    """Distributions that write and run it."""
    tolerance: ClassVar[float]
    """Largest difference to the agent, relative to the range of an action or answer."""
    rounds: ClassVar[bool]
    """Whether it sums in another order than the agent, so that it may differ by as much as float32 rounds."""
    usage: ClassVar[str]
    """Python that runs it: ``{file}``, and ``{feed}`` for its input."""

    @abstractmethod
    def write(self, policy: Policy, sample: Observation, path: Path) -> None:
        """Write ``policy``, traced on ``sample``, a batch of at least two. Raises ExportFailed."""

    @abstractmethod
    def load(self, path: Path) -> Call:
        """The policy in a file, on the CPU."""

    def versions(self) -> dict[str, str]:
        """Of the libraries."""
        return {name: importlib.metadata.version(name) for name in self.libraries}


class TorchFile(Format):
    """``torch.export``: a program of torch operations; torch alone runs it."""

    name, file, libraries, tolerance, rounds = "torch", "policy.pt2", ("torch",), 0.0, False
    usage = """import torch
policy = torch.export.load("{file}").module()
action = policy({feed})"""

    @override
    def write(self, policy: Policy, sample: Observation, path: Path) -> None:
        exported = _traced(policy, sample)
        exported.example_inputs = None  # They would be pickled, and belong to the run.
        with _quietly("torch.export"):
            torch.export.save(exported, path)

    @override
    def load(self, path: Path) -> Call:
        called: Call = torch.export.load(path).module()
        return called


class OnnxFile(Format):
    """ONNX, which onnxruntime and others run without torch."""

    name, file, tolerance, rounds = "onnx", "policy.onnx", 1e-6, True
    libraries = ("onnx", "onnxscript", "onnxruntime", "torch")
    usage = """import onnxruntime
policy = onnxruntime.InferenceSession("{file}")
(action,) = policy.run(None, {feed})"""

    @override
    def write(self, policy: Policy, sample: Observation, path: Path) -> None:
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise ExportFailed(f"ONNX needs packages that are not installed ({error}): rl-composer[onnx]") from None
        names = [*sample] if isinstance(sample, Mapping) else ["observation"]
        exported = _traced(policy, sample)
        with _quietly("torch.onnx"):
            program = torch.onnx.export(
                exported, dynamo=True, input_names=names, output_names=["action"], verbose=False
            )
        assert program is not None
        program.save(path, external_data=False)

    @override
    def load(self, path: Path) -> Call:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

        def call(observation: Observation) -> Tensor:
            named = observation if isinstance(observation, Mapping) else {"observation": observation}
            (answer,) = session.run(None, {name: each.numpy() for name, each in named.items()})
            return torch.from_numpy(answer)

        return call


FORMATS: Mapping[str, Format] = {each.name: each for each in (TorchFile(), OnnxFile())}


def _traced(policy: Policy, sample: Observation) -> torch.export.ExportedProgram:
    """The first axis of every input is the batch, of any size."""
    batch = {0: torch.export.Dim("batch", min=1)}
    batches: Any = dict.fromkeys(sample, batch) if isinstance(sample, Mapping) else batch
    with _quietly("torch.export"):
        return torch.export.export(policy, (sample,), dynamic_shapes=(batches,))


@contextmanager
def _quietly(who: str) -> Iterator[None]:
    """What these print is for those who write them; whatever they raise is an ExportFailed."""
    printed = io.StringIO()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        text = str(error).strip().split("\n", 1)[0]
        raise ExportFailed(f"{who} cannot take this policy: {type(error).__name__}: {text}") from error
    finally:
        logging.disable(logging.NOTSET)
