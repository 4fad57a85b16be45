"""The gallery of what ships (``python -m tools.gallery [--runs DIRECTORY]``): docs/gallery/.

Each blueprint has its paragraph, command and diagram; with ``--runs`` those that the directory has finished runs of get
a learning curve and, where the machine renders, a film of one evaluation episode. Without it the pictures stay that
were made before. Tests: tests/docs/test_gallery.py.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from composer.blueprint import load
from composer.blueprint.inspect.catalogue import Entry, entry
from composer.blueprint.inspect.diagram import draw
from composer.blueprint.syntax.extends import shipped
from composer.spec.quantities import counted, duration, scaled

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "docs" / "gallery"
RUNS = "runs.json"
"""What the curves and films show: by blueprint, the command of the run and its result."""
SIDES = {
    "classic": "Classic control",
    "dmc": "DeepMind control suite",
    "atari": "Atari",
    "minatar": "MinAtar",
    "craftax": "Craftax",
    "mujoco": "MuJoCo",
    "point": "A point in the plane",
    "myosuite": "MyoSuite",
    "humanoid_bench": "HumanoidBench",
    "ogbench": "OGBench",
    "playground": "MuJoCo Playground",
    "offline": "Offline data",
    "continual": "Continual learning",
    "plasticity": "Plasticity",
    "warm_start": "Warm start",
}
FILM_HEIGHT, FILM_SECONDS, FILM_RATE = 120, 8, 12
HEADER = "<!-- Written by `python -m tools.gallery`. -->\n"


def stem(name: str) -> str:
    """``dmc-sac_simba``: the first part of the names of a blueprint's pictures."""
    return name.replace("/", "-")


def pages(folder: Path = GALLERY) -> dict[str, str]:
    """The pages by file name, as the pictures in ``folder`` and its record of runs allow."""
    record = _record(folder)
    entries = {name: entry(name, file) for name, file in shipped().items()}
    sides = {side: [each for name, each in entries.items() if name.startswith(f"{side}/")] for side in SIDES}
    found = {f"{side}.md": _side(side, sides[side], folder, record) for side in SIDES}
    return {"README.md": _first_page(entries["quickstart"], sides, folder, record), **found}


def _record(folder: Path) -> dict[str, Any]:
    path = folder / RUNS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _first_page(quickstart: Entry, sides: dict[str, list[Entry]], folder: Path, record: dict[str, Any]) -> str:
    lines = [HEADER, "# Gallery", "", "What ships: for each blueprint a paragraph, the command, its networks, and "]
    lines[-1] += "where it was trained here, the learning curve and a film of the agent."
    for side, title in SIDES.items():
        lines += ["", f"**[{title}]({side}.md)**: " + ", ".join(f"`{each.name}`" for each in sides[side])]
    lines += ["", *_section(quickstart, folder, record)]
    return "\n".join(lines) + "\n"


def _side(side: str, entries: list[Entry], folder: Path, record: dict[str, Any]) -> str:
    lines = [HEADER, f"# {SIDES[side]}"]
    for each in entries:
        lines += ["", *_section(each, folder, record)]
    return "\n".join([*lines, "", "[Gallery](README.md)"]) + "\n"


def _section(each: Entry, folder: Path, record: dict[str, Any]) -> Iterator[str]:
    """One blueprint."""
    yield from (f"## {each.name}", "", each.about.purpose)
    if each.about.source:
        yield f"Source: {each.about.source}."
    if each.variants:
        yield f"Variants: {', '.join(f'`{name}`' for name in each.variants)}."
    if each.cost is not None:
        cost = each.cost
        size = f"{scaled(cost.parameters)} trained parameters, {counted(cost.env_steps, 'environment step')}"
        yield f"{size}, {counted(cost.updates, 'update')}; about {duration(cost.seconds)} on one CPU core, guessed."
    yield from ("", "```console", f"$ composer train {each.name}", "```")
    yield from ("", f"![Networks of {each.name}]({stem(each.name)}-networks.svg)")
    trained = record.get(each.name)
    if trained is None:
        return
    yield from ("", f"![Learning curve of {each.name}]({stem(each.name)}-curve.svg)")
    film = f"{stem(each.name)}-film.webp"
    if (folder / film).is_file():
        yield from ("", f"![An evaluation episode of {each.name}]({film})")
    yield from ("", f"*{trained['result']}: `{trained['command']}`.*")


def diagrams(folder: Path = GALLERY) -> None:
    """Draw the networks of every shipped blueprint."""
    for name, file in shipped().items():
        draw(load(file, is_to_run=False).blueprint, folder / f"{stem(name)}-networks.svg")


def trained(runs: Path, folder: Path = GALLERY) -> None:
    """Draw curves and films of the finished runs, and record their commands and results."""
    record = _record(folder)
    names = {load(file, is_to_run=False).blueprint.name: name for name, file in shipped().items()}
    facts = {path: json.loads((path / "run.json").read_text(encoding="utf-8")) for path in runs.iterdir()}
    # Where a blueprint has several runs, that of no variant is shown.
    for path in sorted(facts, key=lambda each: (facts[each].get("variant") is None, each)):
        if name := names.get(facts[path]["name"]):
            record[name] = _trained(path, name, facts[path], folder)
    (folder / RUNS).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _trained(path: Path, name: str, facts: dict[str, Any], folder: Path) -> dict[str, str]:
    from composer.studies.compare.command import answer

    table = answer([path], None, None, (), folder / f"{stem(name)}-curve.svg")
    (task,) = table["tasks"]
    (agent,) = task["agents"]
    _film(path, folder / f"{stem(name)}-film.webp")
    blueprint = load(path / "blueprint.toml").blueprint
    whole = load(shipped()[name], variant=facts.get("variant")).blueprint
    words = [name + (f"@{facts['variant']}" if facts.get("variant") else "")]
    words += ["--seeds", ",".join(map(str, blueprint.seeds))]
    if blueprint.training.env_steps != whole.training.env_steps:
        words.append(f"training.env_steps={blueprint.training.env_steps}")
    title = table["metric"].rpartition("/")[2].replace("_", " ")
    return {
        "command": f"composer train {shlex.join(words)}",
        "result": f"{title} {_mean(agent['final'])}",
    }


def _mean(final: dict[str, Any]) -> str:
    """The mean with the interval that ``compare`` gives it."""
    mean, seeds = final["mean"], len(final["by_seed"])
    if mean["low"] is None:
        return f"{mean['value']:.4g}"
    return f"{mean['value']:.4g} (95% t interval over {seeds} seeds: {mean['low']:.4g} to {mean['high']:.4g})"


def _film(path: Path, target: Path) -> None:
    """A film of one evaluation episode, small enough for a page; none where nothing can be drawn."""
    import imageio.v3 as iio
    import numpy as np

    from composer.environments.interface import RenderingUnavailable
    from composer.training.launch import evaluate
    from composer.training.video import FRAMES_PER_SECOND

    with TemporaryDirectory() as folder:
        video = Path(folder) / "film.mp4"
        try:
            evaluate(path, 1, video)
        except (RenderingUnavailable, RuntimeError) as error:
            print(f"{path.name}: no film: {error}")
            return
        frames = np.stack([*iio.imiter(video)])
    step = max(1, FRAMES_PER_SECOND // FILM_RATE)
    every = max(1, frames.shape[1] // FILM_HEIGHT)
    shown = frames[::step, ::every, ::every][: FILM_SECONDS * FILM_RATE]
    iio.imwrite(target, shown, plugin="pillow", duration=1000 // FILM_RATE, loop=0, quality=60)


def main() -> None:
    """Write the gallery."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, help="a directory of finished runs to draw curves and films of")
    arguments = parser.parse_args()
    GALLERY.mkdir(exist_ok=True)
    diagrams()
    if arguments.runs is not None:
        trained(arguments.runs)
    for name, text in pages().items():
        (GALLERY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
