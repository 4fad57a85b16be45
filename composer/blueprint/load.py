"""A file, a variant and overrides to a ``Blueprint``: the way through the language, in order, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from composer import kinds
from composer.blueprint.chain import merged, read_chain
from composer.blueprint.interpolation import interpolate, references
from composer.blueprint.nodes import Node, Origin, merge, read_path, show_path, walk
from composer.blueprint.overrides import apply_override, read_overrides
from composer.blueprint.owners import file_steps
from composer.blueprint.parts import expand
from composer.blueprint.positions import Path
from composer.blueprint.report import BlueprintError, Problem, ordered, problem
from composer.blueprint.schema import Blueprint
from composer.blueprint.validate import validate
from composer.spec import describe, near, suggestion
