"""Validate a tree against a spec, and turn pydantic's errors into problems at the lines of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from composer.blueprint.checks.messages import BOUND_ERRORS, in_words, out_of_bounds
from composer.blueprint.checks.needed import needed_in
from composer.blueprint.checks.spec_at import family_at, file_steps, limits_at, spec_at
from composer.blueprint.checks.synonyms.kinds import advice
from composer.blueprint.checks.synonyms.meaning import Meaning, meaning
from composer.blueprint.schema import FORMAT, Blueprint
from composer.blueprint.syntax.compose import BEFORE_VALIDATION
from composer.blueprint.syntax.interpolation import is_marked
from composer.blueprint.syntax.nodes import Node, plain, show_path
from composer.blueprint.syntax.overrides import COMMAND_LINE
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem, problem
from composer.blueprint.syntax.variants import WITH
from composer.interventions.base import Intervention
from composer.networks.network import Network
from composer.optim.averages import Average
from composer.spec.family import FAMILIES, Family, Spec
from composer.spec.wording import describe, listing, near, quote, with_article

MAX_PROBLEMS = 100
"""Most problems that one validation reports, so that a file full of errors is answered quickly too."""
NAMED_TABLES = (Average, Intervention, Network)
"""Tables outside of families for which a part may stand: ``use`` may be meant in them."""
ROLE_TABLES = ("networks", "optimizers")
"""Tables by role. A role in one of them alone may be misspelt."""

S = TypeVar("S", bound=Spec)


def validate(root: Node, skipped: frozenset[Path], spec: type[S]) -> tuple[S | None, list[Problem]]:
    """The tree as ``spec``, or None and all problems but those at or below the paths ``skipped``, reported already."""
    values = plain(root)
    try:
        return spec.model_validate(values), []
    except ValidationError as error:
        errors = (_Found(root, values, spec, item) for item in error.errors(include_url=False) if not _is_echo(item))
        reported = [*islice((found for found in errors if not found.is_below(skipped)), MAX_PROBLEMS)]
    reported = [found for found in reported if found.is_newer_format] or reported
    meant = {named for found in reported for named in found.meant()}
    problems = [found.problem() for found in reported if (found.table, found.missing) not in meant]
    return None, problems + [other for found in reported for other in found.misspelt_beside()]


def _is_echo(error: Mapping[str, Any]) -> bool:
    """Whether a list is too short only because pydantic does not count its invalid entries, reported themselves."""
    return error["type"] == "too_short" and bool(len(error["input"]) >= error["ctx"]["min_length"])


class _Found:
    """One of pydantic's errors, with its node in the file and its spec."""

    def __init__(self, root: Node, values: object, spec: type[Spec], error: Mapping[str, Any]) -> None:
        self.root = root
        self.values = values
        self.spec = spec
        self.error = error
        # pydantic marks an error of a table's key with "[key]"; in the file it is at that key.
        self.loc: Path = tuple(step for step in error["loc"] if step != "[key]")
        self.path, self.node, self.rest = file_steps(root, self.loc)
        self.type = error["type"]

    def is_below(self, skipped: frozenset[Path]) -> bool:
        """Whether the error follows from a problem at ``skipped``, or from a bad reference in a part's argument."""
        travelled = bool(skipped) and is_marked(self.node)
        return travelled or any(self.path[:length] in skipped for length in range(len(self.path) + 1))

    @property
    def is_newer_format(self) -> bool:
        """Whether the file is of a later format than this composer's, so that its other keys mean nothing here."""
        is_format = self.spec is Blueprint and self.loc == ("blueprint",)
        return is_format and type(self.node.value) is int and self.node.value > FORMAT

    @property
    def table(self) -> Path:
        """The table of an unknown or missing key."""
        return self.loc[:-1]

    @property
    def missing(self) -> str | None:
        return str(self.loc[-1]) if self.type == "missing" else None

    def meant(self) -> Iterator[tuple[Path, str | None]]:
        """The keys, each with its table, that an unknown key stands for: they are not reported as missing."""
        if self.type != "extra_forbidden":
            return
        if self.meaning:
            yield from ((path[:-1], str(path[-1])) for path in self.meaning.paths())
        elif name := near(str(self.loc[-1]), self._keys()):
            yield self.table, name

    @cached_property
    def meaning(self) -> Meaning | None:
        """What an unknown key, perhaps of another library, is called here."""
        return meaning(self.values, self.table, str(self.loc[-1])) if self.spec is Blueprint else None

    def problem(self) -> Problem:
        if self.type == "extra_forbidden":
            return problem(self.node.key, show_path(self.path), *self._unknown_key())
        if self.type == "missing":
            path, hint = show_path((*self.path, *self.rest)), self._misspelt_table() or self._needed()
            return problem(self.node.key, path, f"missing key {self.loc[-1]!r}{self._purpose()}", hint)
        if self.type == "kind_missing":
            return self._no_kind()
        if self.spec is Blueprint and self.loc == ("blueprint",):
            message = f"this composer reads blueprints of format {FORMAT}, got {describe(self.node.value)}"
            hint = "a newer composer may read it: pip install --upgrade rl-composer" if self.is_newer_format else ""
            return problem(self.node.at, "blueprint", message, hint)
        message, hint = in_words(self.error)
        if self.type in BOUND_ERRORS:
            limits = limits_at(self.spec, self.values, self.loc)
            message = out_of_bounds(self.error, limits) if limits else message
        if self.type == "kind_unknown":
            message, hint = self._other_family(message, hint)
        if self.type == "family_type":
            hint = self._named_only()
        hint = hint or self._misplaced()
        is_key = "[key]" in self.error["loc"]
        return problem(self.node.key if is_key else self.node.at, show_path(self.path), message, hint)

    def _keys(self) -> set[str]:
        spec = spec_at(self.spec, self.values, self.table)
        keys = set(spec.model_fields) if spec else set()
        if spec and spec.__mro__[1] is not Family and issubclass(spec, Family):
            keys.add("kind")
        return keys | BEFORE_VALIDATION.keys() if spec is Blueprint else keys

    def _unknown_key(self) -> tuple[str, str]:
        if self.meaning:
            return "unknown key", self.meaning.text(self.node.key.file == COMMAND_LINE)
        name = str(self.loc[-1])
        spec = spec_at(self.spec, self.values, self.table)
        is_usable = spec in NAMED_TABLES or (spec is not None and issubclass(spec, Family))
        others = ({"use"} if is_usable else set()) | ({WITH} if spec is Blueprint and name != WITH else set())
        meant = near(name, self._keys() | others)
        if meant or self._misplaced():
            return "unknown key", f"did you mean {meant!r}?" if meant else self._misplaced()
        family = family_at(self.spec, self.values, self.table)
        owners = [kind for kind, member in (family.kinds() if family else {}).items() if name in member.model_fields]
        if owners:
            named = " and ".join(filter(None, (", ".join(owners[:-1]), owners[-1])))
            return f"unknown key; {name} belongs to {named}", ""
        keys = self._keys()
        return "unknown key", f"one of {listing(keys)}" if keys else ""

    def _misplaced(self) -> str:
        """A hint for a key of the top of a file, or of a variant, that is anywhere else."""
        name = self.loc[-1] if self.loc else ""
        if name == WITH and not self.table:
            return "it stands in a variant: [variants.NAME]"
        if self.table and (name in BEFORE_VALIDATION or name == WITH):
            return f"{name!r} stands at the top of {'a variant' if name == WITH else 'a file, above its first table'}"
        return ""

    def _needed(self) -> str:
        """What the algorithm needs in a table of roles that the whole file lacks."""
        is_table = self.spec is Blueprint and not self.table and self.missing in ROLE_TABLES
        return needed_in(self.values, self.missing or "") if is_table else ""

    def _misspelt_table(self) -> str:
        """A hint for a table under a free name that lacks keys: the name beside it that was perhaps meant."""
        is_named = len(self.path) == 2 and self._is_of_role() and self._is_known(str(self.path[1]))
        if not self.path or is_named or spec_at(self.spec, self.values, self.path[:-1]) is not None:
            return ""
        beside = self.root.get(self.path[:-1])
        others = [name for name, _ in beside.children() if name != self.path[-1]] if beside and beside.is_table else []
        meant = near(str(self.path[-1]), map(str, others))
        return f"is {str(self.path[-1])!r} meant to be {meant!r}?" if meant else ""

    def _no_kind(self) -> Problem:
        """The problem of a table without ``kind``, or of a misspelt ``kind``."""
        keys: Mapping[str, Node] = self.node.value if isinstance(self.node.value, dict) else {}
        family = family_at(self.spec, self.values, self.loc)
        fields = {name for kind in family.kinds().values() for name in kind.model_fields} if family else set()
        for name, child in keys.items():
            meant = near(name, ("kind", "use"))
            if meant and name not in fields:
                return problem(child.key, show_path((*self.path, name)), "unknown key", f"did you mean {meant!r}?")
        return problem(self.node.at, show_path(self.path), in_words(self.error)[0], self._misspelt_role())

    def _misspelt_role(self) -> str:
        """A hint for a table without ``kind`` at or below a role that nothing else names: the role perhaps meant."""
        if not self._is_of_role() or self._is_known(role := str(self.path[1])):
            return ""
        meant = near(role, self._roles_beside())
        if not meant:
            return ""
        return f"did you mean {meant!r}?" if len(self.path) == 2 else f"for {role!r}, did you mean {meant!r}?"

    def misspelt_beside(self) -> Iterator[Problem]:
        """The role beside one that lacks a key which was perhaps to be the same: nothing else names it."""
        lacks = "kind" if self.type == "kind_missing" else self.missing
        if not lacks or not self._is_of_role() or len(self.path) != 2 or not self._is_known(role := str(self.path[1])):
            return
        name = near(role, (name for name in self._roles_beside() if not self._is_known(name)))
        if name:
            message = f"did you mean {role!r}, which has no {lacks!r}?"
            roles = self.root.value[self.path[0]].value
            yield problem(roles[name].key, show_path((self.path[0], name)), message)

    def _is_of_role(self) -> bool:
        return self.spec is Blueprint and len(self.path) >= 2 and self.path[0] in ROLE_TABLES

    def _is_known(self, role: str) -> bool:
        """Whether the other table of roles has this one."""
        return any(self.root.get((other, role)) for other in ROLE_TABLES if other != self.path[0])

    def _roles_beside(self) -> list[str]:
        return [str(name) for name, _ in self.root.value[self.path[0]].children() if name != self.path[1]]

    def _other_family(self, message: str, hint: str) -> tuple[str, str]:
        """Message and hint for an unknown kind: perhaps a kind of another family, a part, or a path to code."""
        name, wanted = self.node.value, family_at(self.spec, self.values, self.loc[:-1])
        if not isinstance(name, str):
            return f"the name of a kind is a string, got {describe(name)}", hint
        if "." in name:
            return f"{message}; code is never loaded by name", hint
        if wanted and (known := advice(wanted.family, name)):
            return message, known
        if name in parts():
            return f"{name!r} is a part, not a kind", f"write use = {quote(name)}"
        others = [root for root in FAMILIES.values() if wanted is not root and name in root.kinds()]
        if wanted and others and "did you mean" not in hint:
            return f"{name!r} is a kind of {others[0].noun()}; {with_article(wanted.noun())} is expected here", hint
        return message, hint

    def _named_only(self) -> str:
        """A hint for the bare name of a part or a kind in place of a table: how to write it."""
        name, wanted = self.node.value, family_at(self.spec, self.values, self.loc)
        if not isinstance(name, str):
            return ""
        if name in parts():
            return f"write {{ use = {quote(name)} }}"
        meant = near(name, wanted.kinds()) if wanted else None
        if wanted and not meant and _is_valid(wanted, [name]):
            return f"write [{quote(name)}]"
        return f"did you mean {{ kind = {quote(meant)} }}?" if meant else ""

    def _purpose(self) -> str:
        """The first sentence of the documentation of a missing key."""
        spec = spec_at(self.spec, self.values, self.table)
        text = spec.meaning(str(self.loc[-1])) if spec else ""
        sentence = " ".join(text.replace("``", "").split()).split(". ")[0].rstrip(".")
        # Keep capitals of names such as MLflow.
        start = sentence[:1].lower() if sentence[1:2] == sentence[1:2].lower() else sentence[:1]
        return f" ({start}{sentence[1:]})" if sentence else ""


def _is_valid(family: type[Family], value: object) -> bool:
    try:
        TypeAdapter[Any](family).validate_python(value)
    except ValidationError:
        return False
    return True
