"""``composer cp`` and ``composer resolve``: a copy works where it is, and what is resolved is the same experiment."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.blueprint import load
from composer.blueprint.inspect.copy import NotCopied, copy
from composer.blueprint.serialize import digest, dump
from composer.blueprint.syntax.extends import shipped
from composer.studies.study.load import load_study, shipped_studies


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_blueprint_copied_or_resolved_is_the_same_experiment(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = shipped()[name]
    path = copy(source, None)
    assert path == Path(source.name)
    assert path.read_text(encoding="utf-8") == source.read_text(encoding="utf-8")
    loaded, copied = load(source, is_to_run=False), load(path, is_to_run=False)
    assert (digest(copied.blueprint), copied.variants) == (digest(loaded.blueprint), loaded.variants)
    for variant in (None, *loaded.variants[:1]):
        chosen = load(source, ("seeds=[3]",), variant, is_to_run=False)
        Path("whole.toml").write_text(dump(chosen.blueprint), encoding="utf-8")
        again = load("whole.toml", is_to_run=False)
        assert digest(again.blueprint) == digest(chosen.blueprint)
        assert again.resolved == chosen.resolved


def test_a_study_is_copied_and_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    path = copy(shipped_studies()["studies/simba_ladder"], tmp_path)
    assert path == tmp_path / "simba_ladder.toml" and len(load_study(path).runs) == 10
    path.write_text("mine")
    with pytest.raises(NotCopied, match=r"simba_ladder.toml is there already: give another name, or --force"):
        copy(shipped()["quickstart"], path)
    assert path.read_text() == "mine"
    assert copy(shipped()["quickstart"], path, is_forced=True) == path
    assert path.read_text().startswith("# A SimBa agent")
    with pytest.raises(NotCopied, match=r"cannot be written \(No such file"):
        copy(shipped()["quickstart"], tmp_path / "none" / "b.toml")
    with pytest.raises(NotCopied, match="is the file itself"):
        copy(path, path, is_forced=True)


def test_a_parent_beside_the_file_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "child.toml").write_text('blueprint = 1\nextends = "parent.toml"\n')
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(NotCopied, match=r'child.toml names "parent.toml", which is beside it: copy into .*resolve'):
        copy(tmp_path / "child.toml", tmp_path / "elsewhere")
    assert copy(tmp_path / "child.toml", tmp_path / "other.toml").exists()
