"""The reference is what the code says: complete, the committed pages those of today, its Markdown whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from composer.blueprint.syntax.parts import parts
from composer.spec import builtin_kinds as kinds
from composer.spec.family import FAMILIES
from tools.reference import pages
from tools.reference.markdown import anchor, prose, table

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "reference"
kinds.register()


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages()


def test_the_committed_pages_are_those_of_today(written: dict[str, str]) -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.glob("*.md")}
    stale = sorted(name for name in {*committed, *written} if committed.get(name) != written.get(name))
    assert not stale, f"docs/reference is out of date ({', '.join(stale)}): run `make docs`"


def test_every_kind_every_key_and_every_part_is_documented(written: dict[str, str]) -> None:
    for family in FAMILIES.values():
        for kind in family.kinds().values():
            if kind.__module__.partition(".")[0] != "composer":
                continue
            (section,) = [
                piece
                for text in written.values()
                for piece in re.split(r"^## ", text, flags=re.MULTILINE)[1:]
                if piece.startswith(f"{kind.kind}\n") and f"# {family.noun().capitalize()}\n" in text
            ]
            assert prose(kind.summary()) in section
            assert 'kind = "' in section
            assert {f"| `{name}` |" for name in kind.model_fields} <= set(
                re.findall(r"^\| `\w+` \|", section, re.MULTILINE)
            )
    named = re.findall(r"^## (\S+)$", written["parts.md"], flags=re.MULTILINE)
    assert named == [part.name for part in parts().values() if part.plugin is None]


def test_the_command_writes_the_same_without_torch(written: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "retired.md").write_text("no such family any more")
    code = (
        "import sys\n"
        "from tools.reference.__main__ import main\n"
        f"code = main(['--out', {str(tmp_path)!r}])\n"
        "heavy = {'torch', 'numpy', 'scipy', 'mlflow', 'dm_control', 'gymnasium', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=3_600, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.md")} == written


def test_no_table_is_broken_by_its_cells(written: dict[str, str]) -> None:
    for name, text in written.items():
        for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, (name, block)
        assert text.count("```") % 2 == 0


def test_markup_of_docstrings() -> None:
    assert prose("A ``a * b | c`` of x * y < z.\nSource: arXiv:2410.09754, *one*.") == (
        r"A `a * b | c` of x \* y \< z. Source: [arXiv:2410.09754](https://arxiv.org/abs/2410.09754), *one*."
    )
    assert prose("One.\n\nTwo\nlines.") == "One.\n\nTwo lines."
    assert table(["a"], [["`x | y`"]]) == "| a |\n| --- |\n| `x \\| y` |"
    assert anchor("acme/fourier_x") == "acmefourier_x"


def test_every_link_of_the_documentation_leads_somewhere(written: dict[str, str]) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]}
    texts |= {COMMITTED / name: text for name, text in written.items()}
    for path, text in texts.items():
        prose_only = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose_only):
            if target.startswith(("https://", "http://")):
                continue
            file, _, fragment = target.partition("#")
            leads = (path.parent / file).resolve() if file else path
            assert leads in texts or leads.exists(), f"{path.relative_to(ROOT)}: {target}"
            if fragment:
                headings = {anchor(found) for found in re.findall(r"^#+ (.+)$", texts[leads], flags=re.MULTILINE)}
                assert fragment in headings, f"{path.relative_to(ROOT)}: {target}"


def test_every_guide_stands_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    absent = [path.name for path in (ROOT / "docs" / "guide").glob("*.md") if f"](guide/{path.name})" not in index]
    assert not absent, f"add {', '.join(absent)} to docs/README.md"
