"""Every file and every module that documentation, docstrings and comments name is there."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import typer.core
import typer.main

from composer.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
SOURCES = sorted(path for room in ("composer", "benchmarks", "tools") for path in (ROOT / room).rglob("*.py"))
FOLDERS = "composer|benchmarks|tools|tests|docs|registry|blueprints"
NOT_MODULES = {"composer.plugins", "composer.role", "composer.schema.json"}
"""The entry points of plug-ins, and a file that a reader writes."""


def named_files(text: str) -> Iterator[str]:
    """Paths from the root of the repository; one behind a ``/`` belongs to another tree."""
    for found in re.finditer(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*-]*\w", text):
        yield found.group(0)


def written(text: str) -> set[str]:
    """The files that a reader of the page writes, the modules that these are, and the names that it imports there."""
    files = set(re.findall(r"^```\w+\n# ([\w./-]+)\n", text, flags=re.MULTILINE))
    names = re.findall(r"^\+from (composer[\w.]*)\.\w+ import (\w+)$", text, flags=re.MULTILINE)
    return files | {name.removesuffix(".py").replace("/", ".") for name in files} | {".".join(each) for each in names}


def exists(name: str, page: Path) -> bool:
    return any((above / name).exists() or any(above.glob(name)) for above in (ROOT, page.parent, page.parent.parent))


def named_modules(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w/.-])(?:composer|benchmarks|tools)(?:\.[a-zA-Z_]\w*)+", text)) - NOT_MODULES


def is_there(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name in one."""
    module, _, rest = dotted.partition(".")
    value: object = importlib.import_module(module)
    for name in rest.split("."):
        module = f"{module}.{name}"
        try:
            value = importlib.import_module(module)
        except ModuleNotFoundError:
            if not hasattr(value, name):
                return False
            value = getattr(value, name)
    return True


def imported(text: str) -> Iterator[str]:
    """What the Python blocks of a page import from composer."""
    for code in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "composer":
                yield from (f"{node.module}.{each.name}" for each in node.names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    own = written(text)
    assert [name for name in named_files(text) if name not in own and not exists(name, page)] == []
    modules = {name for name in (*named_modules(text), *imported(text)) if name.rpartition(".")[0] not in own}
    assert [name for name in sorted(modules - own) if not is_there(name)] == []


def test_every_command_that_a_page_names_is_one() -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    named = [
        (page.relative_to(ROOT).as_posix(), name)
        for page in PAGES
        for name in re.findall(r"(?:^\$ |`)composer ([a-z]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(named) > 50
    assert [(page, name) for page, name in named if name not in command.commands] == []


def test_every_file_that_a_docstring_or_a_comment_names_is_there() -> None:
    named = [(path, name) for path in SOURCES for name in named_files(path.read_text(encoding="utf-8"))]
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path, name in named if not exists(name, path)]
    assert len(named) > 50
    assert wrong == []


def named_in_strings(text: str) -> Iterator[str]:
    """What programs inside of strings import from composer, and dotted names that a string is, as monkeypatch takes."""
    rooms = "|".join(path.name for path in (ROOT / "composer").iterdir() if path.is_dir())
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for module, names in re.findall(r"^\s*from (composer[\w.]*) import ([\w, ]+)$", node.value, re.MULTILINE):
                yield from (f"{module}.{name.split(' as ')[0].strip()}" for name in names.split(","))
            if re.fullmatch(rf"composer\.(?:{rooms})(?:\.\w+)+", node.value):
                yield node.value


def test_every_name_in_a_string_of_a_test_is_there() -> None:
    """Types are not checked there: a renamed function would be found by the slow tests alone."""
    found = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.name != "test_paths.py"
        for name in named_in_strings(path.read_text(encoding="utf-8"))
    ]
    assert len(found) > 40
    wrong = [(path, name) for path, name in found if not is_there(name)]
    assert wrong == [], wrong


def test_a_wrong_name_is_found() -> None:
    text = "See composer/nn/dense.py, ~/.cache/composer/x, `composer.nn.dense` and composer.load.\n"
    assert [name for name in named_files(text) if not exists(name, ROOT / "docs" / "page.md")] == [
        "composer/nn/dense.py"
    ]
    assert [name for name in sorted(named_modules(text)) if not is_there(name)] == ["composer.nn.dense"]
    assert [*imported("```python\nfrom composer.spec.lazy_call import Call\n```\n")] == ["composer.spec.lazy_call.Call"]
    assert not is_there("composer.spec.lazy_call.Call")
