"""What tells arms apart in figures."""

import pytest

from ganbalance.reporting import plotting

SHADES = {"generative": 6, "cheap": 4, "control": 2}


@pytest.mark.parametrize(("family", "shades"), SHADES.items())
def test_no_two_arms_look_alike_however_many_there_are(family: str, shades: int) -> None:
    arms = [f"arm-{number}" for number in range(5 * shades)]
    styles, markers = plotting.line_styles({family: arms}), plotting.markers({family: arms})
    assert len({(styles[arm]["color"], markers[arm]) for arm in arms}) == len(arms)


def test_the_first_arms_of_a_family_have_its_marker() -> None:
    markers = plotting.markers({"cheap": ["a", "b", "c", "d", "e"], "control": ["f"]})
    assert [markers[arm] for arm in "abcdef"] == ["s", "s", "s", "s", "^", "D"]
