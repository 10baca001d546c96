"""The sliding window against what it stands for: every single event and its time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.access.limits.window import SLOT_S, SLOTS, WINDOW_S, Window, slot_at

EPOCH = 1_795_554_333.0

events = st.lists(
    st.tuples(st.floats(0, 90, allow_nan=False), st.integers(1, 50)), min_size=1, max_size=60
)


def window_at(now: float) -> Window:
    return Window("w", slot_at(now))


@settings(max_examples=200)
@given(events=events)
def test_it_never_counts_less_than_a_minute_holds_nor_more_than_half_a_second_longer(
    events: list[tuple[float, int]],
) -> None:
    now = EPOCH
    window = window_at(now)
    happened: list[tuple[float, int]] = []
    for wait, amount in events:
        now += wait
        window.advance(slot_at(now))
        window.add(slot_at(now), amount)
        happened.append((now, amount))
        minute = sum(size for at, size in happened if at > now - WINDOW_S)
        longer = sum(size for at, size in happened if at >= now - WINDOW_S - SLOT_S)
        assert minute <= window.total <= longer


@given(events=events, taken=st.floats(0, 1))
def test_room_is_there_when_it_says_and_not_before(
    events: list[tuple[float, int]], taken: float
) -> None:
    now = EPOCH
    window = window_at(now)
    for wait, amount in events:
        now += wait / 30
        window.advance(slot_at(now))
        window.add(slot_at(now), amount)
    needed = max(1, int(window.total * taken))
    total = window.total
    at = window.frees_at(needed)
    window.advance(slot_at(at - 0.001))
    assert total - window.total < needed
    window.advance(slot_at(at))
    assert total - window.total >= needed


@given(events=events)
def test_it_is_empty_when_its_newest_slot_has_left(events: list[tuple[float, int]]) -> None:
    now = EPOCH
    window = window_at(now)
    assert window.newest() is None
    for wait, amount in events:
        now += wait
        window.advance(slot_at(now))
        window.add(slot_at(now), amount)
    newest = window.newest()
    assert newest == slot_at(now)
    window.advance(newest + SLOTS - 1)
    assert window.total == window.amount(newest) > 0
    window.advance(newest + SLOTS)
    assert window.total == 0
    assert window.newest() is None


def test_what_is_given_back_later_than_a_minute_is_gone_already() -> None:
    window = window_at(EPOCH)
    window.add(slot_at(EPOCH), 100)
    window.advance(slot_at(EPOCH + 70))
    window.add(slot_at(EPOCH), -40)
    assert window.total == 0
    window.add(slot_at(EPOCH + 70), 5)
    assert (window.total, window.amount(slot_at(EPOCH)), window.amount(window.head)) == (5, 0, 5)


def test_an_earlier_time_changes_nothing() -> None:
    window = window_at(EPOCH)
    window.add(slot_at(EPOCH), 3)
    window.advance(slot_at(EPOCH - 3600))
    assert (window.total, window.head) == (3, slot_at(EPOCH))
