"""The pages on adding a kind, a block or an environment, are followed to the letter in a copy of the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from guide_pages import GUIDES, ROOT, Fence, assert_printed, fences, run, write_files

COPIED = ("composer", "registry", "blueprints", "tests", "pyproject.toml")


def copied(folder: Path) -> Path:
    """What the pages work in, without compiled files."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "learning"))
        else:
            shutil.copy(source, folder / name)
    return folder


def patch(fence: Fence, tree: Path) -> None:
    """Put each line that begins with + behind the line above it, which the file must have once."""
    name, *changes = fence.text.splitlines()
    file = tree / name.removeprefix("# ")
    lines = file.read_text(encoding="utf-8").splitlines()
    at = -1
    for change in changes:
        if change.startswith("+"):
            at += 1
            lines.insert(at, change[1:])
        else:
            (at,) = [number for number, line in enumerate(lines) if line == change[1:]]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def console(page: str) -> list[tuple[str, str]]:
    """The commands of a page, in order, each with what the page says that it prints."""
    pieces = [
        piece
        for fence in fences(page)
        if fence.language == "console"
        for piece in re.split(r"^\$ ", fence.text, flags=re.MULTILINE)[1:]
    ]
    return [(piece.partition("\n")[0], piece.partition("\n")[2]) for piece in pieces]


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(path.name for path in GUIDES.glob("add-*.md")))
def test_a_page_on_adding_a_kind_is_true(page: str, tmp_path: Path) -> None:
    """Alone proves that the files of the page are all that it takes: written into a copy, they are found and tested."""
    tree = copied(tmp_path / "tree")
    assert len(write_files(page, tree)) >= 2
    for fence in fences(page):
        if fence.language == "diff":
            patch(fence, tree)
    commands = console(page)
    read = [(line.split()[1:], expected) for line, expected in commands if line.startswith("composer ")]
    for (words, expected), output in zip(read, run([words for words, _ in read], tree, root=tree), strict=True):
        assert_printed(expected, output, words)
    for line in (line for line, _ in commands if line.startswith("python -m pytest ")):
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *line.split()[1:], "-p", "no:cacheprovider"],
            capture_output=True, text=True, cwd=tree, env=environment, timeout=3_600, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
