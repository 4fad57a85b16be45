"""What the site has beyond the pages: its menu, and links to files of the repository (``mkdocs build --strict``).

MkDocs calls the functions ``on_...`` as hooks. Tests: tests/docs/test_site.py.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SECTIONS = {
    "Tutorials": "tutorials",
    "Guides": "guide",
    "Gallery": "gallery",
    "Reference": "reference",
    "Published settings": "published",
    "Benchmarks": "benchmarks",
    "Exact studies": "tabular",
    "Decisions": "decisions",
}
"""Sections of the menu, in this order, each with its folder."""

TABLE_CODE = re.compile(r"^\|.*`.*$", re.MULTILINE)
CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Make the menu from the folders."""
    config.nav = menu(Path(config.docs_dir))
    return config


def menu(docs: Path) -> list[dict[str, Any]]:
    """The menu: guides and tutorials in the order in which docs/README.md names them, other pages by name."""
    order = [found.group(1) for found in LINK.finditer((docs / "README.md").read_text(encoding="utf-8"))]
    sections: list[dict[str, Any]] = [{"Home": "README.md"}]
    for title, folder in SECTIONS.items():
        pages = [path.relative_to(docs).as_posix() for path in sorted((docs / folder).rglob("*.md"))]
        places = {page: (order.index(page) if page in order else len(order)) for page in pages}
        first = posixpath.join(folder, "README.md")
        pages.sort(key=lambda page: (page != first, places[page]))
        if pages:
            sections.append({title: pages})
    return [*sections, {"The code": ["house.md"]}]


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links that leave docs/ lead to the repository, and let cells of tables have bars in code."""
    return outward(TABLE_CODE.sub(_with_bars, markdown), page.file.src_uri, config.repo_url)


def _with_bars(row: re.Match[str]) -> str:
    """GitHub wants a bar in a cell's code escaped; MkDocs would show the backslash."""
    return CODE.sub(lambda code: code.group(0).replace(r"\|", "|"), row.group(0))


def outward(markdown: str, page: str, repository: str) -> str:
    """The text with links to files outside of docs/, or to its folders, as links to the repository.

    A link to a file that is not there stays as it is, and the build refuses it.
    """

    def replaced(found: re.Match[str]) -> str:
        target, anchor = found.group(1), found.group(2) or ""
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
        inside = path.startswith("docs/") and path.endswith((".md", ".png", ".svg", ".html", ".mp4", ".webp"))
        if inside or not (ROOT / path).exists():
            return found.group(0)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"]({repository}/{kind}/main/{path}{anchor})"

    return LINK.sub(replaced, markdown)
