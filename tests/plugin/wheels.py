"""Wheels of plug-ins, made from a project's folder without a build backend, and installed where a test wants them."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ACME = Path(__file__).parent / "composer-acme"


def wheel(project: Path, folder: Path) -> Path:
    """The wheel of a project: its one package, and the metadata that its pyproject.toml declares."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    escaped = about["name"].replace("-", "_")
    info = f"{escaped}-{about['version']}.dist-info"
    files = {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.suffix in (".py", ".toml") and path.parent != project
    }
    groups = about.get("entry-points", {}).items()
    entries = "\n".join(
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in named.items()) for group, named in groups
    )
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = entries.encode()
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{escaped}-{about['version']}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def install(project: Path, folder: Path) -> Path:
    """Install a project by pip; returns the folder that it is importable from."""
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(site), str(wheel(project, folder))], check=True, timeout=3_600)
    return site


def unpack(site: Path, name: str, namespace: str, module: str = "", parts: str = "", *, init: str = "") -> str:
    """Put a plug-in of one module into ``site``, as pip leaves it behind; returns its distribution's name."""
    project = site.parent / f"project-{name}"
    package = module or name.replace("-", "_")
    (project / package / "registry").mkdir(parents=True)
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
        f'[project.entry-points."composer.plugins"]\n{namespace} = "{package}"\n'
    )
    (project / package / "__init__.py").write_text(init)
    if parts:
        (project / package / "registry" / "part.toml").write_text(parts)
    with zipfile.ZipFile(wheel(project, site.parent)) as archive:
        archive.extractall(site)
    return name


def environment(*sites: Path) -> dict[str, str]:
    """The environment of a process that imports from ``sites`` first."""
    paths = os.pathsep.join([*map(str, sites), str(ROOT)])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
