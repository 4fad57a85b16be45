"""Seeds as they are written on a command line: numbers and ranges, and a message for everything else."""

import re

import pytest

from composer.spec.seeds import SeedsError, seeds_in, seeds_text


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [3]),
        ("0-3", [0, 1, 2, 3]),
        ("5, 0-1", [5, 0, 1]),
        ("0,2,5-7", [0, 2, 5, 6, 7]),
        ("9223372036854775806-9223372036854775807", [2**63 - 2, 2**63 - 1]),
    ],
)
def test_numbers_and_ranges(text: str, seeds: list[int]) -> None:
    assert seeds_in(text) == seeds
    assert seeds_in(seeds_text(seeds)) == seeds


def test_a_text_is_as_short_as_it_can_be() -> None:
    assert [seeds_text(each) for each in ([7], [5, 4], [0, 1], [2, 3, 4, 9])] == ["7", "5,4", "0,1", "2-4,9"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no number or range; write 0-3 or 0,2,5-7"),
        ("0..3", "'0..3' is no number or range"),
        ("-1", "'-1' is no number or range"),
        ("3-0", "the range 3-0 is empty; write 0-3"),
        ("0-2,1", "1 named twice"),
        ("0-64", "more than 64 seeds"),
        ("0-9999999999", "more than 64 seeds"),
        ("3,9223372036854775808", "9223372036854775808 is above the largest seed, 2^63-1"),
    ],
)
def test_what_is_wrong_is_told(text: str, message: str) -> None:
    with pytest.raises(SeedsError, match=re.escape(message)):
        seeds_in(text)
