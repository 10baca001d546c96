"""Conversations in memory: what lately used ones said, so that a turn need not read the database.

A `History` stays the same object for as long as anyone holds it: two turns of one conversation
share it, and what the one adds the next one finds. The cache lets go of the least recently used,
but never of one whose records may not be in the database yet.
"""

import asyncio
import threading
import uuid
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import WeakValueDictionary

import msgspec

from headrace.ids import new_id
from headrace.types import Message

__all__ = [
    "History",
    "HistoryCache",
    "Key",
    "Line",
    "RememberedTurn",
    "Summary",
    "ids_after",
    "title_of",
]

TITLE_CHARS = 80
KEPT_BYTES = 4 * 1024 * 1024
"""Text of one conversation in memory; beyond that its oldest turns are in the database only."""
CACHE_BYTES = 64 * 1024 * 1024
"""Text of all conversations in memory."""
_OVERHEAD_BYTES = 600
"""What a turn takes besides its text, measured with `sys.getsizeof` over its parts."""

Key: TypeAlias = tuple[str, str]
"""Owner (a key's id) and conversation."""

_encode = msgspec.msgpack.Encoder().encode


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One remembered message."""

    message: Message
    """As the client sent it, or as the user got it."""
    prompt: Message | None = None
    """As the model saw it, where earlier steps had changed it."""

    @property
    def for_model(self) -> Message:
        return self.prompt or self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedTurn:
    """What one turn added to its conversation."""

    id: str
    """The turn's, which is its trace's."""
    position: str
    """Id of its first message: orders the turns of a conversation."""
    end: str
    """Id of its last message."""
    subject: str
    lines: tuple[Line, ...]
    is_usable: bool = True
    """False: shown to the user, but no context for later turns."""
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", len(_encode(self.lines)) + _OVERHEAD_BYTES)

    @property
    def messages(self) -> list[Message]:
        """As they were said."""
        return [line.message for line in self.lines]

    @property
    def for_model(self) -> list[Message]:
        """As the model saw them."""
        return [line.for_model for line in self.lines]


class Summary(msgspec.Struct, frozen=True):
    """What the beginning of a conversation comes down to."""

    text: str
    until: str
    """Position of the last turn that it covers."""


class History:
    """One conversation in memory. Changed on the event loop only, by the store."""

    def __init__(self, owner: str, conversation: str, *, floor: str = "") -> None:
        self.owner = owner
        self.conversation = conversation
        self.subject = ""
        """Whose key seals the title and the summary."""
        self.title = ""
        self.created_at = 0.0
        self.updated_at = 0.0
        self.used_at = 0.0
        """When a turn last asked for it; epoch seconds, as the others."""
        self.turns: list[RememberedTurn] = []
        self.summary: Summary | None = None
        self.floor = floor
        """What the database has up to this position was deleted."""
        self.is_loaded = bool(floor)
        self.is_deleted = False
        self.appended = 0
        """The store's count of records when one of this conversation was last appended."""
        self.size = _OVERHEAD_BYTES
        self.loading = asyncio.Lock()
        self.starts: dict[str, str] = {}
        """By model: position of the first turn it was shown lately (see the step `ground`)."""
        self.withheld: set[str] = set()
        """Positions of turns that a policy refused to show the model; forgotten with the cache."""

    @property
    def key(self) -> Key:
        return self.owner, self.conversation

    @property
    def exists(self) -> bool:
        """Whether anything was ever said in it."""
        return self.created_at > 0

    @property
    def end(self) -> str:
        """Id of the last message; new ones come behind it."""
        return self.turns[-1].end if self.turns else self.floor

    def extend(self, turns: Iterable[RememberedTurn]) -> None:
        """Add turns at the end; the oldest leave when there are too many."""
        self.turns.extend(turns)
        size = sum(turn.size for turn in self.turns)
        first = 0
        while size > KEPT_BYTES and first < len(self.turns) - 1:
            size -= self.turns[first].size
            first += 1
        del self.turns[:first]
        self.size = _OVERHEAD_BYTES + size


class HistoryCache:
    """The conversations used last, within `limit_bytes` of text. Safe to use from two threads."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._recent: OrderedDict[Key, History] = OrderedDict()
        self._held: WeakValueDictionary[Key, History] = WeakValueDictionary()
        """Everything that is still in use somewhere, in `_recent` or not."""
        self._sizes: dict[Key, int] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        return self._bytes > self._limit

    def get(self, key: Key) -> History | None:
        return self._held.get(key)

    def of(self, owner: str) -> Sequence[History]:
        """Those of one owner that are kept."""
        with self._lock:
            return [each for each in self._recent.values() if each.owner == owner]

    def put(self, history: History) -> None:
        """Keep it as the one used last, in place of another one of its key; measure it anew."""
        with self._lock:
            key = history.key
            self._held[key] = self._recent[key] = history
            self._recent.move_to_end(key)
            self._bytes += history.size - self._sizes.get(key, 0)
            self._sizes[key] = history.size

    def evict(self, flushed: int) -> None:
        """Let go of the least recently used whose records, up to count `flushed`, are stored."""
        with self._lock:
            going = []
            left = self._bytes
            for key, history in self._recent.items():
                if left <= self._limit:
                    break
                if history.appended <= flushed:
                    going.append(key)
                    left -= self._sizes[key]
            for key in going:
                self._drop(key)

    def is_used_since(self, key: Key, moment: float) -> bool:
        history = self._held.get(key)
        return history is not None and max(history.used_at, history.updated_at) >= moment

    def forget(self, keys: Collection[Key]) -> None:
        """Let go of conversations that were deleted; turns that hold them add nothing any more."""
        with self._lock:
            for key in keys:
                history = self._held.pop(key, None)
                if history is not None:
                    history.is_deleted = True
                if key in self._recent:
                    self._drop(key)

    def _drop(self, key: Key) -> None:
        del self._recent[key]
        self._bytes -= self._sizes.pop(key)


def ids_after(position: str, count: int) -> list[str]:
    """Fresh ids, all behind `position`, though the clock may have been set back meanwhile."""
    ids = [new_id() for _ in range(count)]
    if ids[0] > position:
        return ids
    last = uuid.UUID(position).int
    return [str(uuid.UUID(int=last + 1 + i)) for i in range(count)]


def title_of(turn: RememberedTurn) -> str:
    """The beginning of the first message, on one line."""
    first = next((m.text() for m in turn.messages if m.role == "user"), "")
    words = " ".join("".join(c if c.isprintable() else " " for c in first[:1_000]).split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1].rstrip() + "…"
