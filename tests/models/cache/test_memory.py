"""Answers in memory: bounded, by use, and no longer than their time."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.models.cache.memory import OVERHEAD_BYTES, MemoryStore

KEYS = [bytes([each]) * 32 for each in range(12)]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "discard", "time", "expire", "resize"]),
        st.sampled_from(KEYS),
        st.integers(0, 3000),
    ),
    max_size=60,
)


@given(moves=MOVES)
def test_it_holds_what_was_put_within_its_bounds_and_tells_what_left(
    moves: list[tuple[str, bytes, int]],
) -> None:
    gone: list[bytes] = []
    store = MemoryStore(10_000, gone=gone.append)
    bound, now = 10_000, 0.0
    put: dict[bytes, tuple[bytes, float]] = {}
    held: set[bytes] = set()
    for what, key, number in moves:
        if what == "put":
            put[key] = (b"x" * number, now + 50)
            if store.put(key, *put[key]):
                held.add(key)
        elif what == "get":
            found = store.get(key, now)
            if found is not None:
                payload, expires_at = put[key]
                assert found == payload
                assert now < expires_at
        elif what == "discard":
            store.discard(key)
            assert store.get(key, now) is None
        elif what == "time":
            now += number / 100
        elif what == "expire":
            store.expire(now)
            assert all(store.peek(each, now) for each in KEYS if store.peek(each, -1.0))
        else:
            bound = 1_000 + number * 4
            store.resize(bound)
        assert store.size_bytes <= bound
        present = [each for each in KEYS if store.peek(each, -1.0) is not None]
        assert len(store) == len(present)
        assert store.size_bytes == sum(len(put[each][0]) + OVERHEAD_BYTES for each in present)
    store.clear()
    assert (len(store), store.size_bytes) == (0, 0)
    assert held <= set(gone)


def test_what_is_asked_again_outlives_a_run_of_what_is_not() -> None:
    store = MemoryStore(20 * (100 + OVERHEAD_BYTES))
    for _ in range(2):
        for key in KEYS:
            if store.get(key, 0.0) is None:
                store.put(key, b"x" * 100, 1.0)
    for number in range(1000):
        store.put(b"once" + bytes(26) + number.to_bytes(2), b"x" * 100, 1.0)
    assert [store.get(key, 0.0) is not None for key in KEYS] == [True] * len(KEYS)
    assert store.evictions == 1000 - 20 + len(KEYS)


def test_an_answer_larger_than_everything_is_refused() -> None:
    store = MemoryStore(1000)
    assert not store.put(KEYS[0], b"x" * 1000, 1.0)
    assert len(store) == 0
