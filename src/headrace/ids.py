"""Identifiers: UUIDv7, so that ids sort by the time they were made.

Source: RFC 9562, section 5.7.
"""

import os
import threading
import time

__all__ = ["new_id"]

_lock = threading.Lock()
_last_ms = 0
_counter = 0
_DRAW_BYTES = 10
_drawn = b""
"""Random bytes for the next ids: asking the kernel for each cost more than all the rest."""
_used = 0


def _forget() -> None:
    """A forked process must not use the random bytes that its parent will use."""
    global _used  # noqa: PLW0603
    _used = len(_drawn)


os.register_at_fork(after_in_child=_forget)


def new_id() -> str:
    """A UUIDv7 in its 36-character form; ids made by one process are strictly increasing."""
    global _last_ms, _counter, _drawn, _used  # noqa: PLW0603  # one sequence a process is the point
    with _lock:
        if _used == len(_drawn):
            _drawn, _used = os.urandom(256 * _DRAW_BYTES), 0
        random = int.from_bytes(_drawn[_used : _used + _DRAW_BYTES], "big")
        _used += _DRAW_BYTES
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_ms:
            # The counter starts in its lower half so that it cannot overflow within a millisecond.
            _last_ms, _counter = now_ms, random >> 69 & 0x7FF
        else:
            _counter += 1
            if _counter > 0xFFF:
                _last_ms, _counter = _last_ms + 1, 0
        ms, counter = _last_ms, _counter
    value = ms << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
