"""Compiled updates that are kept whole: the next start loads them and traces nothing.

``torch.compile`` keeps generated code, but every process traces the update anew to find it. Here the graph that dynamo
hands over is compiled by ``torch._inductor.standalone_compile`` into one file, beside the names of the tensors that it
reads and changes. No guard checks a loaded program; instead the name of its file is a digest of all that the update
follows from (``composer.training.assemble.kept_programs``), and shapes, strides and types of its tensors must be equal.
What cannot be kept, or loaded, is traced as ever. docs/decisions/0042-ahead-of-time.md.
Tests: tests/training/test_kept.py.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from composer.training.compile.first_call import cause

Slot = int | Tensor
"""An input of the whole program: one of the function's own by its place, or a tensor of the state."""


@dataclass
class KeptPrograms:
    """Where the programs of one learner are kept."""

    folder: Path
    digest: str
    """Of all that the update follows from, but for the tensors that it reads."""
    tensors: Callable[[], Mapping[str, Tensor]]
    """Every tensor that updates read beside their inputs, by name."""
    say: Callable[[str], None] = lambda text: None
    """Tells people of a file that cannot be used."""
    loaded: list[str] = field(default_factory=list)
    """Names of functions whose programs were loaded, not traced."""

    def listing(self, name: str) -> Path:
        """The file that names the program of a function and its inputs."""
        return self.folder / f"{name}-{self.digest}.json"


class KeptProgram:
    """A function as a compiled program, loaded where it was kept, else compiled by its first call and kept."""

    def __init__(
        self,
        function: Callable[..., Any],
        programs: KeptPrograms,
        trace: Callable[..., Callable[..., Any]],
        options: Mapping[str, Any],
    ) -> None:
        """The function takes tensors, changes tensors in place and returns None.

        ``trace(options, backend)`` makes a compiled function of it, by inductor without a backend; ``options`` are
        inductor's.
        """
        self._programs, self._trace, self._options = programs, trace, options
        self._name, self._listing = function.__name__, programs.listing(function.__name__)
        self._program: Callable[..., Any] | None = None
        self._layout: list[Any] = []
        """Shapes and strides of the inputs of the program, which does not look at them."""
        self._other: Callable[..., Any] | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        """Call the program; inputs that are laid out otherwise than its own are traced."""
        if self._program is None:
            self._layout, self._program = _layout(inputs), self._loaded(inputs)
        if self._program is None:
            traced = self._traced(inputs)
            result = traced(*inputs)
            self._program = self._program or traced
            return result
        if _layout(inputs) != self._layout:
            self._other = self._other or self._trace(self._options)
            return self._other(*inputs)
        return self._program(*inputs)

    def _loaded(self, inputs: Sequence[Tensor]) -> Callable[..., Any] | None:
        if not self._listing.exists():
            return None
        try:
            listed = json.loads(self._listing.read_text(encoding="ascii"))
            file = self._listing.with_name(listed["program"])
            if _sha256(file) != listed["sha256"]:
                raise ValueError("its file is damaged")
            slots = self._slots(listed["inputs"], inputs)
            from torch._inductor.standalone_compile import CompiledArtifact

            program = CompiledArtifact.load(path=str(file))
        except Exception as error:
            self._programs.say(f"a compiled update that was kept cannot be used, and is compiled again: {cause(error)}")
            return None
        self._programs.loaded.append(self._name)
        return _bound(program, slots)

    def _slots(self, named: Sequence[tuple[str, Sequence[Any]]], inputs: Sequence[Tensor]) -> list[Slot]:
        known, slots = self._programs.tensors(), list[Slot]()
        for name, like in named:
            place = int(name.removeprefix(_INPUT)) if name.startswith(_INPUT) else None
            found = known[name] if place is None else inputs[place]
            if _form(found) != list(like):
                raise ValueError(f"{name} was {like}, and is {_form(found)}")
            slots.append(found if place is None else place)
        return slots

    def _traced(self, inputs: Sequence[Tensor]) -> Callable[..., Any]:
        """The function under dynamo. Where its graph can be kept, the first call leaves a program without guards."""

        def backend(graph: torch.fx.GraphModule, examples: list[Any]) -> Callable[..., Any]:
            patches = dict(self._options)
            if not can_keep():
                return _as_ever(graph, examples, patches)
            options = {"config_patches": patches}
            try:
                names = self._names(graph, inputs)
                artifact = torch._inductor.standalone_compile(
                    graph, examples, dynamic_shapes="from_example_inputs", options=options, aot=True
                )
            except Exception as error:  # A nameless tensor, a failing compiler, an operation that torch cannot write.
                self._programs.say(f"the compiled update cannot be kept for the next start: {cause(error)}")
                return _as_ever(graph, examples, patches)
            self._keep(artifact, names)
            self._program = _bound(artifact, self._slots(names, inputs))
            return artifact

        return self._trace({}, backend)

    def _names(self, graph: torch.fx.GraphModule, inputs: Sequence[Tensor]) -> list[tuple[str, list[Any]]]:
        """Name and form of every input of a graph; ValueError where one has no name, or the graph returns something."""
        known = {id(value): name for name, value in self._programs.tensors().items()}
        given = {id(value): f"{_INPUT}{place}" for place, value in enumerate(inputs)}
        if len(given) < len(inputs) or given.keys() & known.keys():
            raise ValueError("two inputs are the same tensor, which those of a later call need not be")
        known |= given
        found = []
        for node in graph.graph.nodes:
            if node.op == "output" and node.args[0]:
                raise ValueError("it returns something")
            if node.op == "placeholder":
                value = getattr(node.meta.get("grapharg"), "example", None)
                if not isinstance(value, Tensor) or id(value) not in known:
                    raise ValueError(f"it reads {node.name}, which is no part of the agent's state")
                found.append((known[id(value)], _form(value)))
        return found

    def _keep(self, artifact: Any, names: list[tuple[str, list[Any]]]) -> None:
        """Write a program under a name of its own, then the listing that names it: other processes may do the same."""
        staged = self._listing.with_name(f".tmp-{self._listing.stem}-{os.getpid()}")
        try:
            staged.parent.mkdir(parents=True, exist_ok=True)
            artifact.save(path=str(staged))
            found = _sha256(staged)
            program = staged.replace(self._listing.with_name(f"{self._name}-{found[:16]}.bin"))
            staged.write_text(json.dumps({"program": program.name, "sha256": found, "inputs": names}), encoding="ascii")
            staged.replace(self._listing)
            drop_oldest(self._listing.parent)
        except Exception as error:
            self._programs.say(f"the compiled update could not be kept for the next start: {cause(error)}")


_INPUT = "input/"
MOST_KEPT = 16
"""Programs that are kept in one folder, each of one to two megabytes; every change of a setting makes another."""


def drop_oldest(folder: Path) -> None:
    """Remove all but the newest programs of a folder; who reads one meanwhile compiles it again."""
    with suppress(FileNotFoundError):  # Another process removes the same ones.
        listings = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        named = [json.loads(each.read_text(encoding="ascii"))["program"] for each in listings]
        for listing in listings[:-MOST_KEPT]:
            listing.unlink(missing_ok=True)
        for program in set(named[:-MOST_KEPT]) - set(named[-MOST_KEPT:]):
            (folder / program).unlink(missing_ok=True)


def can_keep() -> bool:
    """Whether this torch has what is needed, which is not part of its stable interface."""
    compiling = getattr(torch._inductor, "standalone_compile", None)
    return compiling is not None and "aot" in inspect.signature(compiling).parameters


def _as_ever(graph: torch.fx.GraphModule, examples: list[Any], patches: Mapping[str, Any]) -> Callable[..., Any]:
    """What ``torch.compile`` makes of a graph."""
    from torch._inductor.compile_fx import compile_fx

    program: Any = compile_fx(graph, examples, config_patches=dict(patches))
    return cast(Callable[..., Any], program)


def _bound(program: Callable[..., Any], slots: Sequence[Slot]) -> Callable[..., Any]:
    """The program as a function of the inputs alone."""
    return lambda *given: program(*[given[slot] if isinstance(slot, int) else slot for slot in slots])


def _layout(inputs: Sequence[Tensor]) -> list[Any]:
    return [(value.shape, value.stride()) for value in inputs]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _form(value: Tensor) -> list[Any]:
    return [list(value.shape), list(value.stride()), str(value.dtype), str(value.device), value.requires_grad]
