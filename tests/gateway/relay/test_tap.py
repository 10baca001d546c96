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


ALIKE = chunk("a", "\n")
TEXTS = st.text(st.sampled_from('a"\\\n:{}[]你,'), max_size=6)
EVENTS = st.one_of(
    TEXTS.map(lambda text: chunk(text, "\n")),
    st.just(chunk(None, "\n", "length")),
    st.just(event({"id": "c", "choices": [], "usage": USAGE}, "\n")),
    st.just(event({"error": {"message": "overloaded"}}, "\n")),
    st.just(b"data: [DONE]\n\n"),
    # What is no chunk, and looks like one at both ends.
    TEXTS.map(lambda text: ALIKE.replace(b'"a"', b'"' + text.encode() + b'"')),
    st.just(ALIKE.replace(b'"a"', b'"a"},"finish_reason":"stop","x":{"y":"a"')),
    st.just(ALIKE.replace(b'"a"', b'"a"},"usage":{"prompt_tokens":1},"x":{"y":"a"')),
    st.integers(1, len(ALIKE)).map(lambda size: ALIKE[:size] + ALIKE[size // 2 :]),
)


@given(st.lists(EVENTS, max_size=8), st.booleans())
def test_events_one_by_one_are_understood_as_those_that_come_together(
    events: list[bytes], hides: bool
) -> None:
    # A tap that has learned what events look like, and one that never does.
    one_by_one, together = StreamTap(hides_usage=hides), StreamTap(hides_usage=hides)
    passed = one_by_one.feed(ALIKE) + one_by_one.feed(ALIKE)
    passed += b"".join([one_by_one.feed(each) for each in events])
    assert passed == together.feed(ALIKE + ALIKE + b"".join(events))
    for name in ("usage", "finish", "failure", "is_done", "pieces"):
        if name != "finish" or len(_reasons(events)) < 2:
            assert getattr(one_by_one, name) == getattr(together, name), name


def _reasons(events: list[bytes]) -> set[bytes]:
    return {reason for each in events for reason in (b'"length"', b'"stop"') if reason in each}


def test_packets_of_two_events_count_as_two() -> None:
    tap = StreamTap(hides_usage=True)
    for _ in range(4):
        assert tap.feed(ALIKE + ALIKE) == ALIKE + ALIKE
    assert tap.pieces == 8


def test_of_usage_in_every_chunk_the_last_counts() -> None:
    tap = StreamTap(hides_usage=True)
    for tokens in range(1, 6):
        usage = {**USAGE, "completion_tokens": tokens}
        choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
        tap.feed(event({"usage": usage, "choices": [choice]}, "\n"))
    assert tap.usage == Usage(7, 5)


def test_a_failure_in_mid_stream_is_noticed_and_ends_what_is_passed_on() -> None:
    tap = StreamTap(hides_usage=True)
    error = {"error": {"message": "overloaded"}}
    for text in ("a", "b"):
        assert tap.feed(chunk(text, "\n")) == chunk(text, "\n")
    assert tap.feed(chunk("c", "\n") + event(error, "\n")) == chunk("c", "\n")
    assert tap.failure == msgspec.json.encode(error)
    assert tap.feed(chunk("d", "\n")) == b""
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


def framed(*events: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """A packet of whole chunks, and where the events stand in it."""
    packet, spans = b"", []
    for each in events:
        packet += b"%x\r\n" % len(each)
        spans.append((len(packet), len(packet) + len(each)))
        packet += each + b"\r\n"
    return packet, spans


def test_only_events_like_those_before_pass_unread() -> None:
    tap = StreamTap(hides_usage=True)
    usual, other = chunk("one", "\n"), chunk("x", "\n", "stop")
    assert not tap.lets_pass(*framed(usual))
    assert tap.feed(usual) == usual
    assert tap.feed(usual) == usual  # the first has begun the answer; this one teaches
    assert tap.lets_pass(*framed(chunk("水", "\n")))
    assert tap.lets_pass(*framed(usual, chunk("two", "\n")))
    assert tap.pieces == 5
    assert not tap.lets_pass(*framed(usual, other))
    assert not tap.lets_pass(*framed(chunk('a"finish_reason":"stop', "\n")))
    assert tap.pieces == 5


def test_after_the_end_nothing_passes_unread() -> None:
    tap = StreamTap(hides_usage=True)
    usual = chunk("one", "\n")
    tap.feed(usual)
    tap.feed(usual)
    assert tap.lets_pass(*framed(usual))
    tap.feed(b"data: [DONE]\n\n")
    assert not tap.lets_pass(*framed(usual))
