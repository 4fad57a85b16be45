"""The site is built without a dead link, has every page in its menu, and leads out of docs/ to the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from guide_pages import ROOT

from tools.site import menu, outward

REPOSITORY = "https://host/project"


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """MkDocs on this tree; a warning, such as a dead link, is an error."""
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "-d", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_site_has_every_page_and_no_dead_link(tmp_path: Path) -> None:
    done = build(tmp_path / "site")
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    made = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site").rglob("*.html")}
    assert {page.with_name("index.html") if page.name == "README.html" else page for page in pages} <= made
    assert (tmp_path / "site" / "search" / "search_index.json").stat().st_size > 100_000
    text = (tmp_path / "site" / "reference" / "operations.html").read_text(encoding="utf-8")
    assert "<code>w &lt;- w |w_0| / |w|</code>" in text


@pytest.mark.parametrize("link", ["guide/nothing.md", "guide/runs.md#nothing", "../composer/nothing.py"])
def test_a_dead_link_is_an_error(link: str, tmp_path: Path) -> None:
    (tmp_path / "docs" / "guide").mkdir(parents=True)
    (tmp_path / "docs" / "guide" / "runs.md").write_text("# Runs\n")
    (tmp_path / "docs" / "README.md").write_text(f"# Page\n[x]({link}) [runs](guide/runs.md)\n")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("docs_dir: docs", f"docs_dir: {tmp_path}/docs")
    text = text.replace("- tools/site.py", f"- {ROOT}/tools/site.py").replace(
        "[tools/site.py]", f"[{ROOT}/tools/site.py]"
    )
    (tmp_path / "mkdocs.yml").write_text(text)
    done = build(tmp_path / "site", "-f", str(tmp_path / "mkdocs.yml"))
    assert done.returncode == 1
    assert (link.partition("#")[2] or link) in done.stderr


def test_the_menu_has_each_page_once_in_the_order_of_the_first_page() -> None:
    sections = menu(ROOT / "docs")
    pages = [
        page for section in sections for each in section.values() for page in ([each] if str(each) == each else each)
    ]
    assert sorted(pages) == sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    (guides,) = [section["Guides"] for section in sections if "Guides" in section]
    assert guides.index("guide/first-variant.md") < guides.index("guide/studies.md") < guides.index("guide/hydra.md")


def test_links_out_of_the_documentation_lead_to_the_repository() -> None:
    text = "[a](../../composer/api.py#L3) [b](runs.md) [c](../../registry) [d](../../nothing.py) [e](https://x.y/z)"
    assert outward(text, "guide/page.md", REPOSITORY) == (
        f"[a]({REPOSITORY}/blob/main/composer/api.py#L3) [b](runs.md) [c]({REPOSITORY}/tree/main/registry) "
        "[d](../../nothing.py) [e](https://x.y/z)"
    )
