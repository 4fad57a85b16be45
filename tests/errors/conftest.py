"""The fixture that spoils a sound blueprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from sound_blueprint import SOUND, Spoil


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Writes ``b.toml`` in the working directory: the sound blueprint, one text in it replaced by another."""
    monkeypatch.chdir(tmp_path)

    def write(old: str, new: str) -> Path:
        assert old == "" or SOUND.count(old) == 1, f"{old!r} stands {SOUND.count(old)} times in the sound blueprint"
        Path("b.toml").write_text(SOUND.replace(old, new) if old else SOUND + new, encoding="utf-8")
        return Path("b.toml")

    return write
