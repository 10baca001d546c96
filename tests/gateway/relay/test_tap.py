"""A stream that is passed on: nothing is lost, however it is cut, and its end is understood."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.openai.relay import StreamTap
from headrace.types import Usage
from tests.models.reading import cut

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def event(value: object, line: str) -> bytes:
    end = line.encode() * 2
    return b"data: " + msgspec.json.encode(value) + end


def chunk(text: str | None, line: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return event({"id": "c", "choices": [choice], "usage": None}, line)


def stream(line: str = "\n", *, ping: bool = False) -> tuple[bytes, bytes]:
    """A whole stream, and its event with the usage."""
    pieces = [chunk("你好", line), chunk(' "usage":{', line), chunk(None, line, "length")]
    if ping:
        pieces.insert(1, b": ping" + line.encode() * 2)
    usage = event({"id": "c", "choices": [], "usage": USAGE}, line)
    return b"".join((*pieces, usage, b"data: [DONE]" + line.encode() * 2)), usage


@given(
    st.lists(st.integers(0, 500), max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_however_it_is_cut_the_same_goes_on(
    cuts: list[int], line: str, ping: bool, hides: bool
) -> None:
    data, usage = stream(line, ping=ping)
    tap = StreamTap(hides_usage=hides)
    passed = b"".join(tap.feed(piece) for piece in cut(data, [min(c, len(data)) for c in cuts]))
    assert passed == (data.replace(usage, b"") if hides else data)
    assert tap.usage == Usage(7, 3)
    assert tap.finish == "length"
    assert tap.is_done
    assert tap.failure is None


def test_a_failure_in_mid_stream_is_noticed_and_ends_what_is_passed_on() -> None:
    tap = StreamTap(hides_usage=True)
    error = {"error": {"message": "overloaded"}}
    assert tap.feed(chunk("a", "\n") + event(error, "\n")) == chunk("a", "\n")
    assert tap.failure == msgspec.json.encode(error)
    assert tap.feed(chunk("b", "\n")) == b""
    assert not tap.is_whole


def test_an_error_that_a_text_speaks_of_is_none() -> None:
    tap = StreamTap(hides_usage=True)
    data = chunk('data: {"error": 1}\n\n"finish_reason": "error"', "\n")
    assert tap.feed(data) == data
    assert tap.failure is None
    assert tap.finish is None


def test_half_an_event_waits_for_its_other_half() -> None:
    tap = StreamTap(hides_usage=True)
    data = chunk("a", "\n")
    assert tap.feed(data[:-1]) == b""
    assert tap.feed(data[-1:]) == data
