"""Files made to do harm: refused in bounded time and memory; nothing outside of their folder is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from composer.blueprint import BlueprintError, Problem, check, load
from composer.blueprint.syntax.parts import Part, part_of
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.read import parse_tree, read_tree
from composer.spec.package_files import blueprints_root

LIMIT = 2.0
"""Seconds of processor time for one file."""
QUICKSTART = (blueprints_root() / "quickstart.toml").read_text(encoding="utf-8")
LINEAR = '{ kind = "linear", width = 8 }'


def quick(path: Path) -> list[Problem]:
    """The problems of a file, reported in time."""
    start = time.process_time()
    problems = check(path)
    assert time.process_time() - start < LIMIT
    return problems


def nested(kind: str, depth: int) -> str:
    """A block inside of a block, and so on, around a ReLU."""
    opening = {"residual": '{ kind = "residual", block = ', "repeat": '{ kind = "repeat", times = 256, block = '}[kind]
    return opening * depth + '{ kind = "relu" }' + " }" * depth


def lines(count: int, line: str) -> str:
    """A list of the same entry, a line each."""
    return "[\n" + f"    {line},\n" * count + "]"


REPEATED = f'{{ kind = "repeat", times = 256, block = [{", ".join([LINEAR] * 30)}] }}'
TRUNKS = {
    "nested blocks": (nested("residual", 40), "nested deeper than 32"),
    "nested repeats": (nested("repeat", 12), "trunk: 79,538,861,190,790,864,407,636,279,553 blocks; limit 8,192"),
    "100,000 layers": ('{ kind = "repeat", times = 100_000, block = [] }', "must be in 0 to 256, got 100,000"),
    "100,000 layers by parts": ('{ use = "mlp", depth = 100_000 }', "trunk.times: must be in 0 to 256, got 100,000"),
    "a list of 3,500 blocks": (lines(700, ", ".join(['{kind="relu"}'] * 5)), "needs at most 256 entries, has 3500"),
    "long lists of long repeats": (lines(250, REPEATED)[: 40_000].rsplit(",\n", 1)[0] + "]", "blocks; limit 8,192"),
    "a width of 10^9": ('{ use = "simba", width = 1_000_000_000 }', "width: must be in 1 to 65,536, got 1,000,000,000"),
    "widths that multiply": ('[' + ", ".join(['{ kind = "linear", expansion = 64 }'] * 9) + ']', "is wider than 65536"),
    "every width at its bound": (
        '{ use = "simba", width = 65_536, blocks = 256, expansion = 1 }',
        "networks.critic: needs 40.0 TiB of memory, 19.6 GiB are available; nothing allocated",
    ),
    "a parameter of 10^18": ('{ use = "simba", blocks = 1_000_000_000_000_000_000 }', "must be in 0 to 256"),
    "a list for a parameter": ('{ use = "simba", width = [' + "1, " * 600 + "] }", "width: expected integer, got list"),
    "parts as parameters": (
        '{ use = "simba", width = { use = "simba", width = { use = "simba" } } }', "width: expected integer, got table"
    ),
}  # fmt: skip


def with_critic(trunk: str) -> str:
    """The quickstart with another trunk of its critic."""
    old = '{ use = "simba", width = 64, blocks = 1 }, head = { kind = "scalar" } }'
    assert QUICKSTART.count(old) == 1
    whole = QUICKSTART.replace("critic = { trunk = " + old, "")
    return f'{whole}\n[networks.critic]\ntrunk = {trunk}\nhead = {{ kind = "scalar" }}\n'


@pytest.mark.parametrize("name", TRUNKS)
def test_networks_that_would_fill_memory_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("composer.blueprint.checks.meaning.available_bytes", lambda: 21_000_000_000)
    trunk, said = TRUNKS[name]
    (tmp_path / "b.toml").write_text(with_critic(trunk))
    problems = quick(tmp_path / "b.toml")
    assert any(said in str(problem) for problem in problems), problems


VARIANTS = "".join(f'[variants.v{n}.networks]\nactor.trunk = "${{values.t}}"\n' for n in range(64))
SIMBA = '{ use = "simba" }'
LAYERS = '{ kind = "sequence", layers = "${values.u}" }'


def _reference(name: str) -> str:
    return f'"${{values.{name}}}"'


def _glob(number: int) -> str:
    return f"'*c*{number}*z'"


VALUES = {
    "many variants of large networks": (
        f"[values]\nt = [{REPEATED}]\n" + VARIANTS,
        "variants: too large to check all of them",
    ),
    "many variants of many values": (
        f"[values]\nu = {lines(60, LINEAR)}\nt = {lines(60, LAYERS)}\n" + VARIANTS,
        "variants: too large to check all of them",
    ),
    "exponential references": (
        "[values]\na0 = 1\n" + "".join(f"a{n} = [{', '.join([_reference(f'a{n - 1}')] * 9)}]\n" for n in range(1, 12)),
        "the blueprint grows beyond 20,000 values here",
    ),
    "parts that multiply": (
        f"[values]\nu = {lines(60, SIMBA)}\nt = {lines(60, LAYERS)}\n" + VARIANTS,
        "the blueprint grows beyond 20,000 values here",
    ),
    "globs that backtrack": (
        '[optimizers.extra]\nkind = "adamw"\ndecay = [\n' + ("'" + "*a" * 400 + "b',\n") * 60 + "]\n",
        "optimizers.extra: sac trains nothing named 'extra'",
    ),
    "a key of 1,900 letters": ("k" * 1_900 + " = 1\n", "(1900 characters)"),
    "a name of 1,900 letters": ('[networks.' + "n" * 1_900 + "]\n", "(1900 characters)"),
    "a kind of 1,900 letters": ('[tracking]\nkind = "' + "k" * 1_900 + '"\n', "... (1900 characters)'"),
    "6,000 keys": ("[values]\n" + "".join(f"k{n} = 1\n" for n in range(6_000)), "nothing refers to this value"),
    "a date that is none": ("[values]\nd = 2024-02-30\n", "not TOML: invalid date or datetime"),
    "an integer of 1,900 digits": ("[values]\nd = " + "9" * 1_900 + "\n", "values.d: "),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_texts_that_would_take_for_ever_are_refused(name: str, tmp_path: Path) -> None:
    text, said = VALUES[name]
    (tmp_path / "b.toml").write_text(QUICKSTART + text, encoding="utf-8")
    problems = quick(tmp_path / "b.toml")
    assert any(said in str(problem) for problem in problems), problems
    assert all(len(str(problem)) < 1_500 and str(problem).isprintable() for problem in problems)


def test_many_globs_over_many_parameters_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(
        with_critic(f"[{REPEATED}]")
        + "".join(
            f"[interventions.r{number}]\nwhen = {{ kind = 'every', interval = 9 }}\ndo = {{ kind = 'nothing' }}\n"
            f"where = [{', '.join([_glob(number)] * 40)}]\n"
            for number in range(64)
        )
    )
    (problem,) = quick(tmp_path / "b.toml")
    assert "globs over 15,3" in problem.message


def test_letters_that_pass_for_others_are_shown_for_what_they_are(tmp_path: Path) -> None:
    spoilt = QUICKSTART.replace("batch_size", '"b\N{CYRILLIC SMALL LETTER A}tch_size"').replace(
        '"sac"', '"s\N{CYRILLIC SMALL LETTER A}c"'
    )
    (tmp_path / "b.toml").write_text(spoilt, encoding="utf-8")
    (problem,) = quick(tmp_path / "b.toml")
    assert str(problem).endswith(r"algorithm.kind: no algorithm named 's\u0430c'; did you mean 'sac'?")
    (tmp_path / "b.toml").write_text(spoilt.replace("s\N{CYRILLIC SMALL LETTER A}c", "sac"), encoding="utf-8")
    (problem,) = quick(tmp_path / "b.toml")
    assert str(problem).endswith(r"""algorithm."b\u0430tch_size": unknown key; did you mean 'batch_size'?""")


def test_what_would_steer_a_terminal_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\nb.toml"
    path.write_text(QUICKSTART.replace('"sac"', '"\\u001b[2J\\u009b2J\\u202e"').replace("batch_size", '"x\\u0007\\ny"'))
    for problem in quick(path):
        assert str(problem).isprintable()


def _chain(folder: Path, count: int, body: str) -> dict[str, Part]:
    known = {}
    for number in range(count):
        path = folder / f"p{number}.toml"
        text = body.replace("NEXT", f'{{ use = "p{number + 1}" }}' if number + 1 < count else '{ kind = "relu" }')
        path.write_text(f'part = 1\nfamily = "block"\ndescription = ""\nsource = ""\n[block]\n{text}\n')
        known[path.stem] = part_of(read_tree(path, path.name), path.stem, path.name)
    return known


@pytest.mark.parametrize(
    ("count", "body", "said"),
    [
        (40, "kind = 'residual'\nblock = NEXT", "parts inside parts, more than 16 deep"),
        (12, f"kind = 'sequence'\nlayers = [{', '.join(['NEXT'] * 9)}]", "the blueprint grows beyond 20,000 values"),
        (14, "a = { a = { a = { a = { a = { a = NEXT } } } } }", "parts nest deeper than 64 tables"),
    ],
    ids=["a long chain", "nine to the twelfth", "a deep chain"],
)  # fmt: skip
def test_parts_that_grow_are_stopped(count: int, body: str, said: str, tmp_path: Path) -> None:
    known = _chain(tmp_path, count, body)
    start = time.process_time()
    try:
        _, problems = expand(parse_tree(b'trunk = { use = "p0" }', "t"), known)
        reported = [problem.message for problem in problems.values()]
    except BlueprintError as error:
        reported = [problem.message for problem in error.problems]
    assert time.process_time() - start < LIMIT
    assert any(said in message for message in reported), reported


FOREIGN = ["evil", "evil:run", "evil.run", "os.system", "builtins.eval", "__import__('evil')", "./evil.py", "evil.py"]
PLACES = [
    ("kind = \"sac\"", 'kind = {}'),
    ("use = \"simba\", width = 64, blocks = 1 }, head = { kind = \"tanh", 'use = {} }, head = { kind = "tanh'),
    ("task = \"cartpole-swingup\"", 'task = {}'),
    ("blueprint = 1", "extends = {}"),
    ("seeds = [0]", "seeds = [0]\nrequires = [{}]"),
    ("batch_size = 128", "batch_size = {}"),
    ("of = \"critic\"", "of = {}"),
    ("kind = \"scalar\"", "_target_ = {}"),
    ("compute = { threads = 1 }", "tracking = {{ kind = \"mlflow\", uri = {} }}"),
]  # fmt: skip


def test_nothing_in_a_file_is_imported_or_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "was-run"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\ndef run(*_): raise SystemExit(99)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for old, new in PLACES:
        assert old in QUICKSTART, old
        for name in FOREIGN:
            (tmp_path / "b.toml").write_text(QUICKSTART.replace(old, new.replace("{}", f'"{name}"'), 1))
            assert quick(tmp_path / "b.toml"), (new, name)
    assert not marker.exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    "name", ["${oc.env:SECRET}", "${env:SECRET}", "$SECRET", "${SECRET}", "$(printenv SECRET)", "~/x"]
)
def test_no_file_reads_the_environment(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    for old, new in PLACES:
        (tmp_path / "b.toml").write_text(QUICKSTART.replace(old, new.replace("{}", f'"{name}"'), 1))
        reported = [str(problem) for problem in quick(tmp_path / "b.toml")]
        assert reported
        assert not any("hunter2" in line for line in reported)
    (tmp_path / "b.toml").write_text(QUICKSTART.replace("blueprint = 1", f'blueprint = 1\ndescription = "{name}"'))
    if "${" not in name:
        assert load(tmp_path / "b.toml").blueprint.description == name


@pytest.mark.parametrize(
    "parent",
    [
        "../outside.toml", "{outside}/outside.toml", "link.toml", "folder/outside.toml", "sub/../../outside.toml",
        "./../outside.toml", "loop.toml", "outside.toml\\u0000.toml", "\\u0000", "/dev/zero", "/dev/stdin.toml",
        "pipe.toml",
        "sub", "~/outside.toml", "file:///etc/passwd.toml", "", ".", "..", "{outside}/outside",
    ],
)  # fmt: skip
def test_no_parent_leaves_the_folder_of_its_file(parent: str, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (inside / "sub").mkdir(parents=True)
    (outside / "outside.toml").write_text(QUICKSTART)
    (tmp_path / "outside.toml").write_text(QUICKSTART)
    (inside / "link.toml").symlink_to(outside / "outside.toml")
    (inside / "folder").symlink_to(outside)
    (inside / "loop.toml").symlink_to(inside / "loop.toml")
    os.mkfifo(inside / "pipe.toml")
    (inside / "b.toml").write_text(f'extends = "{parent.format(outside=outside)}"\nname = "b"\n')
    (problem,) = quick(inside / "b.toml")
    assert (problem.line, problem.path) == (1, "extends") or "pipe.toml:1:1: not a regular file" in str(problem)


def test_a_parent_below_its_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "parent.toml").write_text(QUICKSTART)
    (tmp_path / "b.toml").write_text('extends = "sub/parent.toml"\nname = "b"\n')
    assert quick(tmp_path / "b.toml") == []


@pytest.mark.parametrize(
    "name", ["../networks/simba", "/etc/passwd", "networks/simba", "simba\\u0000", ".", "", "suites/dmc_em"]
)
def test_no_part_leaves_the_registry(name: str, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(QUICKSTART.replace('use = "simba"', f'use = "{name}"', 1))
    problems = quick(tmp_path / "b.toml")
    assert problems
    assert problems[0].path == "networks.actor.trunk.use"


@pytest.mark.slow
def test_the_worst_files_stay_within_a_gibibyte_and_two_seconds(tmp_path: Path) -> None:
    """Alone proves the bounds on memory and time, in a process whose limits are set."""
    files = []
    for number, (text, _) in enumerate(VALUES.values()):
        files.append(tmp_path / f"{number}.toml")
        files[-1].write_text(QUICKSTART + text, encoding="utf-8")
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        f"resource.setrlimit(resource.RLIMIT_CPU, ({len(files) * 2}, {len(files) * 2}))\n"
        f"sys.argv = ['composer', 'check', *{list(map(str, files))!r}]\n"
        "from composer.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=3_600, check=False)
    assert (done.returncode, done.stderr) == (2, "")
