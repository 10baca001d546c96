"""The waterfall: every bar lies within the drawing, at the place that its times say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.console.waterfall import Waterfall
from headrace.telemetry.trace import Span, Trace

times = st.floats(0, 1000, allow_nan=False)
spans = st.builds(
    Span,
    name=st.sampled_from(["normalize", "generate"]),
    start_s=times,
    duration_s=times,
    parent=st.none() | st.integers(0, 5),
)


@given(
    found=st.lists(spans, max_size=6),
    duration_s=times,
    ttft_s=st.none() | times,
)
def test_nothing_is_drawn_outside(
    found: list[Span], duration_s: float, ttft_s: float | None
) -> None:
    drawn = Waterfall.of(Trace(spans=found, duration_s=duration_s, ttft_s=ttft_s))
    assert len(drawn.rows) == len(found)
    for row in drawn.rows:
        assert row.start >= 0
        assert row.width > 0
        assert row.start + row.width <= 100.001
    assert 1 <= len(drawn.ticks) <= 7
    assert all(0 <= tick.at <= 100.2 for tick in drawn.ticks)
    assert drawn.first_token is None or 0 <= drawn.first_token <= 100


def test_a_bar_is_where_its_times_are() -> None:
    trace = Trace(duration_s=2.0, spans=[Span(name="generate", start_s=0.5, duration_s=1.0)])
    row = Waterfall.of(trace).rows[0]
    assert (row.start, row.width) == (25.0, 50.0)


def test_the_shortest_step_can_still_be_seen() -> None:
    trace = Trace(duration_s=10.0, spans=[Span(name="check", start_s=1.0, duration_s=1e-6)])
    assert Waterfall.of(trace).rows[0].width == pytest.approx(0.4)


def test_rows_come_in_the_order_of_their_start() -> None:
    trace = Trace(
        duration_s=1.0,
        spans=[Span(name="late", start_s=0.5), Span(name="early", start_s=0.1)],
    )
    assert [row.name for row in Waterfall.of(trace).rows] == ["early", "late"]


def test_time_marks_are_round() -> None:
    ticks = Waterfall.of(Trace(duration_s=2.4)).ticks
    assert [tick.seconds for tick in ticks] == [0, 0.5, 1.0, 1.5, 2.0]


def test_a_circle_of_parents_ends() -> None:
    trace = Trace(
        duration_s=1.0,
        spans=[Span(name="a", start_s=0, parent=1), Span(name="b", start_s=0, parent=0)],
    )
    assert max(row.depth for row in Waterfall.of(trace).rows) <= 8
