"""Where compiled code is kept: homes that are missing, folders that cannot be written, paths a compiler cannot take."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tiny_runs import ALONE, TINY

from composer.spec.private_folder import PLAIN
from composer.training.compile import cache as caching

INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a temporary folder, and no variable that names a cache; permissions bind, though tests may be root."""
    for name in (INDUCTOR, caching.CACHE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("_chosen", "_given", "_place"):
        monkeypatch.setattr(caching, name, None)
    (tmp_path / "home").mkdir()
    (tmp_path / "t").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setattr(caching, "_allowed", lambda path: bool(path.stat().st_mode & stat.S_IWUSR))
    return tmp_path


def private(tmp_path: Path) -> Path:
    return tmp_path / "t" / f"composer-{os.geteuid()}"


def used(key: str = "program") -> Path:
    caching.use_cache(key)
    return Path(os.environ[INDUCTOR])


def test_the_cache_is_in_the_users_home_and_nothing_is_said(tmp_path: Path) -> None:
    assert used() == tmp_path / "home" / ".cache" / "composer" / "program"
    assert caching.cache_note() is None and not (tmp_path / "home" / ".cache").exists()


@pytest.mark.parametrize("home", ["none", "empty", "relative", "file", "read-only", "missing in read-only"])
def test_without_a_home_that_can_be_written_the_cache_is_private_and_said(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    if home == "none":
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no account")))
    elif home in ("empty", "relative"):
        monkeypatch.setenv("HOME", "" if home == "empty" else "relative")
    elif home == "file":
        folder.rmdir()
        folder.write_text("")
    else:
        folder.chmod(0o500)
        monkeypatch.setenv("HOME", str(folder / "missing" / "more" if "missing" in home else folder))
    assert used() == private(tmp_path) / "program"
    note = caching.cache_note()
    assert note and str(private(tmp_path)) in note and caching.CACHE in note
    assert stat.S_IMODE(private(tmp_path).stat().st_mode) == 0o700
    monkeypatch.setenv(caching.CACHE, str(tmp_path / "named"))
    assert used() == tmp_path / "named" / "program" and caching.cache_note() is None


@pytest.mark.parametrize("planted", ["open", "link", "file"])
def test_a_private_folder_that_others_may_have_made_is_not_used(
    planted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code in it would be executed."""
    monkeypatch.setenv(caching.CACHE, str(tmp_path / "home"))
    (tmp_path / "home").chmod(0o500)
    place = private(tmp_path)
    if planted == "open":
        place.mkdir()
        place.chmod(0o777)
    elif planted == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "theirs")
    else:
        place.write_text("")
    monkeypatch.setattr(caching, "_users_root", lambda: None)
    assert not used().is_relative_to(place)


@pytest.mark.parametrize("name", ["my cache", "it's", 'a"b', "back\\slash", "größe", "a;b", "tab\there", "$HOME"])
@pytest.mark.parametrize("variable", [caching.CACHE, "XDG_CACHE_HOME", "HOME", INDUCTOR])
def test_a_path_that_a_compiler_cannot_take_is_reached_by_a_link(
    name: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / name))
    first = used()
    assert PLAIN.fullmatch(str(first)) and first.is_dir()
    assert tmp_path / name in (first.resolve(), *first.resolve().parents)
    assert used() == first  # And again, by the same link.
    if variable != INDUCTOR:
        assert first.resolve() == caching.cache_directory("program") and used("other") != first


def test_a_temporary_folder_with_a_space_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a b"))
    monkeypatch.setenv(caching.CACHE, str(tmp_path / "my cache"))
    assert PLAIN.fullmatch(str(used()))


def warm(folder: Path) -> None:
    (folder / "ab").mkdir(parents=True)
    (folder / "ab" / "code.so").write_text("compiled")


@pytest.mark.parametrize("what", ["root", "program", "inner folder", "file"])
def test_a_warm_cache_that_cannot_be_written_is_copied(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    warm(shared / "program")
    monkeypatch.setenv(caching.CACHE, str(shared))
    places = {"program": shared / "program", "inner folder": shared / "program" / "ab"}
    closed = {**places, "file": shared / "program" / "ab" / "code.so", "root": shared / "program"}[what]
    closed.chmod(0o500)
    assert caching.is_warm("program")
    folder = used()
    assert folder == tmp_path / "home" / ".cache" / "composer" / "program"
    note = caching.cache_note()
    assert note and f"{shared / 'program'} cannot be written" in note and "copied" in note and caching.CACHE in note
    caching.fill_cache()
    copied = folder / "ab" / "code.so"
    assert copied.read_text() == "compiled"
    copied.write_text("newer")
    (folder / "cd").mkdir()
    caching.fill_cache()
    assert copied.read_text() == "newer" and {path.name for path in folder.parent.iterdir()} == {"program"}
    closed.chmod(0o700)


def test_a_program_that_a_shared_cache_lacks_is_compiled_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    warm(shared / "program")
    shared.chmod(0o500)
    monkeypatch.setenv(caching.CACHE, str(shared))
    assert used("other") == tmp_path / "home" / ".cache" / "composer" / "other" and not caching.is_warm("other")
    caching.fill_cache()
    assert not caching.cache_directory("other").exists()
    shared.chmod(0o700)


COMPILES = f"""
import sys
from composer.blueprint import load
from composer.training.assemble import set_up_process
from composer.training.compile.capture import Choice
from composer.training.compile_ahead import example
from composer.training.learner import Learner
small = [f"networks.{{role}}.trunk={{{{ kind = 'linear', width = 4 }}}}" for role in ("actor", "critic")]
blueprint = load({str(TINY)!r}, small, is_to_run=False).blueprint
set_up_process(blueprint)
learner = Learner(blueprint.agent, "cpu", Choice(True, "a test"))
learner.update(*example(learner, blueprint.environment.info))
"""


@pytest.mark.slow
def test_programs_are_compiled_behind_a_space_and_found_below_another_path(tmp_path: Path) -> None:
    """Alone lets a compiler work in such folders."""

    def compiled(cache: Path) -> dict[Path, int]:
        environment = {**ALONE, "HOME": str(tmp_path / "home"), caching.CACHE: str(cache)}
        run = subprocess.run([sys.executable, "-c", COMPILES], env=environment, capture_output=True, check=False)
        assert run.returncode == 0, run.stderr[-2_000:]
        return {path.relative_to(cache): path.stat().st_mtime_ns for path in cache.rglob("*.so")}

    first = compiled(tmp_path / "it's my cache")
    assert first
    (tmp_path / "it's my cache").rename(tmp_path / "shipped")
    assert compiled(tmp_path / "shipped") == first
