"""A blueprint names a module; whether it is imported, the user decides: by installing, by PYTHONPATH, by name."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from composer.spec import allowed_modules
from composer.spec.allowed_modules import ModuleRefused, import_allowed, refusal

RAN = "import builtins; builtins.composer_test_ran = __name__\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's folder, in which the user works as in a notebook: it is first on the path."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv(allowed_modules.VARIABLE, raising=False)
    monkeypatch.setattr(allowed_modules, "_imported", set())
    return folder


def write(folder: Path, name: str, text: str = RAN) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def install(site: Path, name: str, entry: str, group: str = "gymnasium.envs", source: Path | None = None) -> None:
    """The metadata of a distribution with one entry point; ``source`` is that of an editable one."""
    info = site / f"{name}-1.0.dist-info"
    write(info, "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write(info, "entry_points.txt", f"[{group}]\nx = {entry}\n")
    if source is not None:
        write(info, "direct_url.json", json.dumps({"url": source.as_uri(), "dir_info": {"editable": True}}))


def on_path(monkeypatch: pytest.MonkeyPatch, *entries: str | Path) -> None:
    """PYTHONPATH as the user has set it, and the path that Python makes of it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, entries)))
    monkeypatch.setattr(sys, "path", [*map(str, entries), *sys.path])


def assert_refused(name: str, said: str = "is not imported unasked") -> None:
    problem = refusal(name)
    assert problem is not None and said in problem
    with pytest.raises(ModuleRefused):
        import_allowed(name)
    assert not hasattr(sys.modules["builtins"], "composer_test_ran") and name not in sys.modules


@pytest.mark.parametrize("entry", ["", ".", "{here}", "{here}/.", "{here}/../stranger", "{link}"])
def test_the_working_directory_allows_nothing_by_any_name(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    (tmp_path / "link").symlink_to(here)
    write(here, "evil_environments.py")
    on_path(monkeypatch, entry.format(here=here, link=tmp_path / "link"))
    assert_refused("evil_environments")


def test_packages_of_the_working_directory_are_not_reached_from_a_folder_above(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, "__init__.py")
    write(here, "evil.py")
    write(here, "package/__init__.py")
    write(here, "package/inside.py", "")
    on_path(monkeypatch, tmp_path)
    for name in ("stranger", "stranger.evil", "package.inside", "stranger.package.inside"):
        assert_refused(name)
    (here / "__init__.py").unlink()
    assert_refused("stranger.evil")


@pytest.mark.parametrize(
    "name", ["antigravity", "this", "idlelib.idle", "pytest.__main__", "turtledemo", "pip.__main__"]
)
def test_the_standard_library_and_what_is_installed_for_other_purposes_are_refused(here: Path, name: str) -> None:
    assert_refused(name, "module")


def test_a_folder_of_pythonpath_is_the_users_own_word(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    write(mine, "my_own_environments.py", "")
    write(mine, "my_own_package/inside.py", "")
    write(mine, "my_own_package/__init__.py", "")
    write(mine, "xdrlib_of_mine/__init__.py", "")
    on_path(monkeypatch, mine)
    assert import_allowed("my_own_environments").__name__ == "my_own_environments"
    assert refusal("my_own_package.inside") is None and refusal("my_own_package.other") is not None
    # A stranger's file of the same name is in front of it.
    write(here, "xdrlib_of_mine.py")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert_refused("xdrlib_of_mine")


def test_a_distribution_that_declares_environments_is_allowed_and_no_module_in_front_of_it(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, source = tmp_path / "site", tmp_path / "source"
    monkeypatch.setattr(sys, "path", [str(site), str(source), *sys.path])
    install(site, "their-environments", "their_environments.register:all")
    for name in ("their_environments/__init__.py", "their_environments/register.py", "their_environments/tool.py"):
        write(site, name, "")
    assert refusal("their_environments") is None and refusal("their_environments.register") is None
    assert_refused("their_environments.tool")
    install(site, "edited-environments", "edited_environments", source=source)
    write(source, "edited_environments.py", "")
    assert refusal("edited_environments") is None
    write(here, "their_environments.py")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert_refused("their_environments")


def test_a_distribution_in_the_working_directory_is_none(here: Path) -> None:
    install(here, "evil", "evil_distribution")
    write(here, "evil_distribution.py")
    assert_refused("evil_distribution")
    assert "evil" not in {each.name for each in allowed_modules.trusted_distributions()}


def test_a_name_allows_the_module_and_those_inside(here: Path) -> None:
    write(here, "allowed_by_name/__init__.py", "")
    write(here, "allowed_by_name/inside.py", "")
    write(here, "allowed_by_name_too.py")
    allowed_modules.allow(["allowed_by_name"])
    assert import_allowed("allowed_by_name.inside").__name__ == "allowed_by_name.inside"
    assert_refused("allowed_by_name_too")
    assert allowed_modules.for_children()[allowed_modules.VARIABLE] == "allowed_by_name,allowed_by_name.inside"


def test_what_the_program_has_imported_is_allowed_there_and_in_its_children(here: Path) -> None:
    write(here, "imported_by_hand.py", "")
    assert_refused("imported_by_hand")
    __import__("imported_by_hand")
    assert import_allowed("imported_by_hand") is sys.modules["imported_by_hand"]
    assert allowed_modules.for_children()[allowed_modules.VARIABLE] == "imported_by_hand"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:", "cannot be imported: SyntaxError: invalid syntax"),
        ("raise RuntimeError('no libGL')", "cannot be imported: RuntimeError: no libGL"),
        ("import sys; sys.exit(0)", "cannot be imported: SystemExit: 0"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("open('/nonexistent')", "cannot be imported: FileNotFoundError"),
    ],
)
def test_whatever_a_module_does_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    write(tmp_path, "failing_environments.py", text)
    on_path(monkeypatch, tmp_path)
    with pytest.raises(ModuleRefused) as caught:
        import_allowed("failing_environments")
    assert said in str(caught.value) and "failing_environments" not in sys.modules


def test_a_syntax_error_shows_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "unreadable_environments.py", RAN + "def f(:")
    on_path(monkeypatch, tmp_path)
    assert_refused("unreadable_environments", "SyntaxError")
    assert_refused("no.such.module", "is not installed")
