"""What is said about a spoilt blueprint, word for word: messages are interface.

Each case spoils one text of the sound blueprint in ``conftest``. A message that lists all kinds is cut at "..." here.
"""

# ruff: noqa: E501 (a message stands on one line)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from composer.blueprint import check, verify


class Case(NamedTuple):
    """A name, the text and what replaces it (appended where the text is empty), the lines expected without the file."""

    name: str
    old: str
    new: str
    expected: list[str]


CASES = [
    Case("sound", "", "", []),
    Case(
        "key set twice",
        "batch_size = 32",
        "batch_size = 32\nbatch_size = 64",
        ["15:1: algorithm.batch_size: 'batch_size' set twice (lines 14, 15)"],
    ),
    Case("table declared twice", "", "[replay]\n", ["40:2: replay: [replay] declared twice (lines 35, 40)"]),
    Case(
        "misspelt key",
        "batch_size",
        "batch_sise",
        ["14:1: algorithm.batch_sise: unknown key; did you mean 'batch_size'?"],
    ),
    Case(
        "misspelt required key",
        "env_steps",
        "env_stps",
        ["39:1: training.env_stps: unknown key; did you mean 'env_steps'?"],
    ),
    Case("misspelt table", "[averages.", "[average.", ["26:2: average: unknown key; did you mean 'averages'?"]),
    Case(
        "misspelt kind key",
        'actor = { kind = "adamw"',
        'actor = { knd = "adamw"',
        ["31:11: optimizers.actor.knd: unknown key; did you mean 'kind'?"],
    ),
    Case("misspelt kind", '"sac"', '"sca"', ["13:8: algorithm.kind: no algorithm named 'sca'; did you mean 'sac'?"]),
    Case(
        "misspelt block",
        '"relu"',
        '"rleu"',
        ["18:67: networks.actor.trunk[1].kind: no block named 'rleu'; did you mean 'relu'?"],
    ),
    Case(
        "misspelt part",
        '"simba"',
        '"simb"',
        ["22:17: networks.critic.trunk.use: no part named 'simb'; did you mean 'simba'?"],
    ),
    Case(
        "misspelt parameter of a part",
        ", blocks = 1",
        ", block = 1",
        ["22:37: networks.critic.trunk.block: part 'simba' has no parameter 'block'; did you mean 'blocks'?"],
    ),
    Case(
        "misspelt value",
        "[values]\nwidth",
        "[values]\nwidht",
        [
            "6:1: values.widht: nothing refers to this value; did you mean 'width'?",
            "18:37: networks.actor.trunk[0].width: there is no value 'values.width'; did you mean 'values.widht'?",
        ],
    ),
    Case(
        "misspelt role",
        "[networks.critic]",
        "[networks.critc]",
        [
            "17:2: networks: SAC needs a network 'critic'",
            "21:1: networks.critc: SAC has no network 'critc'; did you mean 'critic'?",
        ],
    ),
    Case(
        "misspelt average's network",
        'of = "critic"',
        'of = "critc"',
        ["27:6: averages.target_critic.of: no network named 'critc'; did you mean 'critic'?"],
    ),
    Case(
        "misspelt optimizer role",
        "temperature = {",
        "temprature = {",
        ["33:14: optimizers.temprature: sac trains nothing named 'temprature'; did you mean 'temperature'?"],
    ),
    Case(
        "string for integer",
        "batch_size = 32",
        'batch_size = "32"',
        ['14:14: algorithm.batch_size: expected integer, got string "32"'],
    ),
    Case(
        "float for integer",
        "batch_size = 32",
        "batch_size = 32.0",
        ["14:14: algorithm.batch_size: expected integer, got float 32.0"],
    ),
    Case(
        "boolean for integer",
        "batch_size = 32",
        "batch_size = true",
        ["14:14: algorithm.batch_size: expected integer, got boolean true"],
    ),
    Case(
        "date for number",
        "learning_rate = 1e-4 }\ncritic",
        "learning_rate = 2020-01-01 }\ncritic",
        [
            "31:43: optimizers.actor.learning_rate: expected a number or a table with 'kind' (schedule), got date 2020-01-01"
        ],
    ),
    Case("unknown table", "[replay]\ncapacity = 1_000", "[x]", ["35:2: x: unknown key; one of ..."]),
    Case(
        "value of the wrong type",
        "width = 8\n",
        'width = "8"\n',
        [
            '6:9: networks.actor.trunk[0].width: expected integer, got string "8" (through ${values.width} at b.toml:18:37)'
        ],
    ),
    Case(
        "parameter of the wrong type",
        'use = "simba", width = 8',
        'use = "simba", width = "8"',
        ['22:34: networks.critic.trunk.layers[0].width: expected integer, got string "8"'],
    ),
    Case("too small", "batch_size = 32", "batch_size = 0", ["14:14: algorithm.batch_size: must be at least 1, got 0"]),
    Case(
        "too large",
        'use = "simba", width = 8',
        'use = "simba", width = 1_000_000_000',
        ["22:34: networks.critic.trunk.layers[0].width: must be at most 65,536, got 1,000,000,000"],
    ),
    Case("not finite", "discount = 0.99", "discount = nan", ["15:12: algorithm.discount: must be finite, got nan"]),
    Case(
        "out of range", "discount = 0.99", "discount = 1.5", ["15:12: algorithm.discount: must be at most 1, got 1.5"]
    ),
    Case(
        "learning rate of zero",
        'actor = { kind = "adamw", learning_rate = 1e-4',
        'actor = { kind = "adamw", learning_rate = 0',
        ["31:43: optimizers.actor.learning_rate: must be > 0, got 0"],
    ),
    Case(
        "infinite learning rate",
        'actor = { kind = "adamw", learning_rate = 1e-4',
        'actor = { kind = "adamw", learning_rate = inf',
        ["31:43: optimizers.actor.learning_rate: must be finite, got inf"],
    ),
    Case(
        "average outside of 0 to 1",
        "momentum = 0.995",
        "momentum = 1.5",
        ["28:12: averages.target_critic.momentum: must be in 0 to 1, got 1.5"],
    ),
    Case(
        "too many blocks",
        "blocks = 1 ",
        "blocks = 1_000_000 ",
        ["22:46: networks.critic.trunk.layers[1].times: must be at most 256, got 1,000,000"],
    ),
    Case(
        "memory",
        "capacity = 1_000",
        "capacity = 10_000_000_000",
        ["36:12: replay.capacity: needs 8.0e+11 bytes; available 2.1e+10; nothing allocated"],
    ),
    Case(
        "batch over capacity",
        "capacity = 1_000",
        "capacity = 10",
        ["14:14: algorithm.batch_size: batch 32 > capacity 10 (replay.capacity)"],
    ),
    Case(
        "shapes that do not meet",
        'use = "simba", width = 8, blocks = 1 }',
        'kind = "residual", block = { kind = "linear", width = 7 } }',
        ["22:38: networks.critic.trunk.block: a residual block must keep its shape: its input is [4], its output [7]"],
    ),
    Case(
        "head of another kind",
        '"scalar"',
        '"tanh_gaussian"',
        ["23:8: networks.critic.head: SAC's critic needs a head 'scalar', got 'tanh_gaussian'"],
    ),
    Case("seed listed twice", "[0, 1]", "[3, 3]", ["3:9: seeds: seed 3 is listed twice"]),
    Case("no seeds", "[0, 1]", "[]", ["3:9: seeds: needs at least 1 entry, has 0"]),
    Case("negative seed", "[0, 1]", "[-1]", ["3:10: seeds[0]: must be at least 0, got -1"]),
    Case(
        "seed over 63 bits",
        "[0, 1]",
        "[18446744073709551616]",
        ["3:10: seeds[0]: must be in -2^63 to 2^63-1, got integer 18446744073709551616"],
    ),
    Case(
        "code by path",
        'kind = "relu"',
        'kind = "os.system"',
        ["18:67: networks.actor.trunk[1].kind: no block named 'os.system'; code is never loaded by name; one of ..."],
    ),
    Case(
        "part by path",
        '"simba"',
        '"logging.os.system"',
        [
            "22:17: networks.critic.trunk.use: no part named 'logging.os.system'; code is never loaded by name; one of ..."
        ],
    ),
    Case(
        "hydra's target",
        '{ kind = "relu" }',
        '{ _target_ = "os.system" }',
        ["18:58: networks.actor.trunk[1]: this block has no 'kind'; one of ..."],
    ),
    Case(
        "key of another kind",
        'temperature = { kind = "adam"',
        'temperature = { kind = "adam", weight_decay = 0.1',
        ["33:32: optimizers.temperature.weight_decay: unknown key; weight_decay belongs to adamw"],
    ),
    Case(
        "kind of another family",
        '"relu"',
        '"adamw"',
        ["18:67: networks.actor.trunk[1].kind: 'adamw' is a kind of optimizer; a block is expected here; one of ..."],
    ),
    Case(
        "resolver",
        "width = 8\n",
        'width = "${oc.env:SECRET}"\n',
        ["6:9: values.width: no resolver is available here; ${...} names a value of this blueprint"],
    ),
    Case(
        "loop",
        "width = 8\n",
        'width = "${values.depth}"\ndepth = "${values.width}"\n',
        [
            "6:9: values.width: interpolation loop: values.width → values.depth → values.width",
            "7:9: values.depth: interpolation loop: values.depth → values.width → values.depth",
        ],
    ),
    Case(
        "part of a string",
        'name = "small"',
        'name = "small_${values.width}"',
        ['2:8: name: ${...} stands for a whole value, as in ${values.width}; got "small_${values.width}"'],
    ),
    Case("unused value", "width = 8\n", "width = 8\ndepth = 2\n", ["7:1: values.depth: nothing refers to this value"]),
    Case(
        "unknown task",
        '"pendulum-swingup"',
        '"pendulm-swingup"',
        ["10:8: environment.task: no dm_control task named 'pendulm-swingup'; did you mean 'pendulum-swingup'?"],
    ),
    Case(
        "name as a path",
        '"small"',
        '"../x"',
        ['2:8: name: use [a-z0-9._-], 1 to 64 characters, the first a letter or a digit, got string "../x"'],
    ),
    Case(
        "name too long",
        '"small"',
        '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
        [
            '2:8: name: use [a-z0-9._-], 1 to 64 characters, the first a letter or a digit, got string "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... (300 characters)"'
        ],
    ),
    Case(
        "other format",
        "blueprint = 1",
        "blueprint = 2",
        ["1:13: blueprint: this composer reads blueprints of format 1, got integer 2"],
    ),
    Case(
        "choice",
        "[replay]",
        '[compute]\ndevice = "cdua"\n[replay]',
        ["36:10: compute.device: must be 'auto', 'cpu' or 'cuda', got string \"cdua\"; did you mean 'cuda'?"],
    ),
    Case(
        "plug-in",
        "seeds =",
        'requires = ["acme"]\nseeds =',
        ["3:12: requires: requires the plug-in 'acme', which is not installed"],
    ),
    Case(
        "tracking uri with password",
        "[replay]",
        '[tracking]\nkind = "mlflow"\nuri = "https://me:hunter2@host/"\n[replay]',
        [
            "37:7: tracking.uri: credentials are accepted from the environment only: set MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_PASSWORD"
        ],
    ),
    Case(
        "variant",
        "[replay]",
        '[variants.big.algorithm]\nbatch_size = "x"\n[replay]',
        ['36:14: algorithm.batch_size: expected integer, got string "x" (variant big)'],
    ),
    Case(
        "two problems of a table",
        "batch_size = 32\ndiscount = 0.99",
        "batch_size = -1\ndiscont = 0.99",
        [
            "14:14: algorithm.batch_size: must be at least 1, got -1",
            "15:1: algorithm.discont: unknown key; did you mean 'discount'?",
        ],
    ),
    Case(
        "both kind and use",
        'use = "simba"',
        'kind = "relu", use = "simba"',
        ["22:26: networks.critic.trunk.use: a table names either 'kind' or 'use', not both"],
    ),
    Case("not TOML", "[replay]", "[replay", ["35:8: not TOML: expected ']' at the end of a table declaration"]),
    Case("unfinished string", 'name = "small"', 'name = "small', ["2:14: not TOML: illegal character '\\n'"]),
    Case(
        "role that is no name",
        "[networks.critic]",
        '[networks."Critic!"]',
        [
            '21:11: networks."Critic!": use a name of [a-z0-9_], 1 to 64 characters, the first a letter, got string "Critic!"'
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_messages(case: Case, spoil: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "available_bytes", lambda: 21_000_000_000)
    told = [str(problem).removeprefix("b.toml:") for problem in check(spoil(case.old, case.new))]
    cut = [line.split("; one of")[0] + "; one of ..." for line in told]
    assert len(told) == len(case.expected)
    for line, shortened, expected in zip(told, cut, case.expected, strict=True):
        assert (shortened if expected.endswith("...") else line) == expected
