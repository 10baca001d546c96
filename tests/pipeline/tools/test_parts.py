"""Parts of the loop for which any input must do: addresses, rounds in pieces, results between fences."""

from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline.tools.errors import ToolFailed
from headrace.pipeline.tools.listen import PREAMBLE_CHARS, Listener
from headrace.pipeline.tools.render import render
from headrace.pipeline.tools.settings import HttpToolSettings, ToolSettings
from headrace.pipeline.tools.template import UrlTemplate
from headrace.pipeline.tools.tool import Result
from headrace.pipeline.turn import Turn
from headrace.types import Delta, FunctionDelta, ToolCallDelta
from tests.pipeline.tools.rig import ADA

TEMPLATE = UrlTemplate.read("https://x.org/v1/{a}/items/{b}?q={c}")
HTTP = ToolSettings(
    description="d",
    http=HttpToolSettings(url="https://x.org/", parameters={"type": "object"}),
    max_bytes=300,
)


@given(st.text(), st.text(), st.text())
def test_an_argument_never_leaves_its_place_in_the_address(a: str, b: str, c: str) -> None:
    try:
        target = TEMPLATE.filled({"a": a, "b": b, "c": c}, rest_in_query=True)
    except (ToolFailed, UnicodeEncodeError):
        return
    parts = urlsplit(target)
    assert target.isascii()
    assert not parts.netloc
    first, version, one, items, two = parts.path.split("/")
    assert (first, version, items) == ("", "v1", "items")
    assert (unquote(one), unquote(two)) == (a, b)
    assert unquote(parts.query.removeprefix("q=")) == c


@given(
    st.lists(st.text(min_size=1, max_size=PREAMBLE_CHARS), max_size=6),
    st.sampled_from([None, PREAMBLE_CHARS, 0]),
)
def test_of_an_answer_nothing_is_lost_however_long_it_is_held(
    pieces: list[str], holds: int | None
) -> None:
    turn = Turn(principal=ADA, messages=[], stream=True)
    listener = Listener(turn, {"weather"}, holds=holds, joined=False)
    deltas = [*(Delta(text=each) for each in pieces), Delta(finish_reason="stop")]
    shown = [out for delta in deltas for out in listener.take(delta)]
    shown += listener.rest(fallback="?")
    assert "".join(each.text for each in shown) == "".join(pieces)
    assert [each.finish_reason for each in shown if each.finish_reason] == ["stop"]


@given(st.lists(st.sampled_from(["weather", "book"]), min_size=1, max_size=5), st.data())
def test_calls_are_told_apart_by_whole_names_in_whatever_pieces_they_come(
    names: list[str], data: st.DataObject
) -> None:
    turn = Turn(principal=ADA, messages=[])
    listener = Listener(turn, {"weather"}, holds=None, joined=False)
    for at, name in enumerate(names):
        cut = data.draw(st.integers(0, len(name)))
        for piece, arguments in ((name[:cut], None), (name[cut:], "{}")):
            function = FunctionDelta(name=piece, arguments=arguments)
            call = ToolCallDelta(index=at, function=function)
            assert list(listener.take(Delta(tool_calls=[call]))) == []
    assert list(listener.take(Delta(finish_reason="tool_calls"))) == []
    own = listener.own_calls
    assert [each.function.name for each in own] == [n for n in names if n == "weather"]
    assert len({each.id for each in own}) == len(own)
    passed = [call for out in listener.rest(fallback="?") for call in out.tool_calls or ()]
    assert [call.function.name for call in passed if call.function] == [
        n for n in names if n == "book"
    ]


@given(st.text(max_size=2000))
def test_a_result_is_within_its_fence_and_its_size(text: str) -> None:
    turn = Turn(principal=ADA, messages=[])
    said = render(turn, Result(text=text), HTTP, [], 0).text
    if not text.strip():
        assert said == "[The result is empty.]"
        return
    first, *inside, last = said.split("\n")
    assert last == first.replace("<result", "</result")
    assert first not in inside
    assert last not in inside
    assert len(said.encode("utf-8", "replace")) <= 300 + 100
