"""Tool-call arguments: JSON stays JSON, string by string, however it is cut."""

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.screening.arguments import ArgumentsScreen, screen_arguments

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("bad"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def screen(text: str, *, wrap: Callable[[str], str]) -> str:
    return text.replace("bad", wrap("[X]")).replace("4111", wrap("[CARD]"))


@given(value=Json, cuts=st.lists(st.integers(0, 300), max_size=6))
def test_arguments_do_not_depend_on_cuts_and_stay_json(value: object, cuts: list[int]) -> None:
    text = json.dumps(value)
    edges = [0, *sorted(cuts), len(text)]
    each = ArgumentsScreen(screen)
    left = "".join(each.push(text[a:b]) for a, b in itertools.pairwise(edges))
    left += each.finish("stop")
    assert left == screen_arguments(text, screen)
    # Written out: the escape of a rare letter may spell it, as \\udbad does.
    assert "bad" not in json.dumps(json.loads(left), ensure_ascii=False)


@pytest.mark.parametrize(
    ("arguments", "screened"),
    [
        ('{"a": "bad"}', '{"a": "[X]"}'),
        (r'{"a": "b\u0061d \"quoted\""}', r'{"a": "[X] \"quoted\""}'),
        (r'{"a": "\u4f60 \/"}', r'{"a": "\u4f60 \/"}'),
        ('{"n": 4111}', '{"n": "[CARD]"}'),
        ("bad and not JSON", '"[X]" and not JSON'),
        ('{"open": "bad', '{"open": "[X]'),
    ],
)
def test_what_is_found_is_replaced_and_the_rest_stays_as_written(
    arguments: str, screened: str
) -> None:
    assert screen_arguments(arguments, screen) == screened


def test_a_string_that_was_never_closed_is_lost_when_the_stream_breaks_off() -> None:
    each = ArgumentsScreen(screen)
    assert each.push('{"a": "ba') + each.finish(None) == '{"a": '
