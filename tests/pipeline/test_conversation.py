"""Conversations: remembered at once, found again after eviction, restart and crash, gone when
deleted. With a real database, journal, writer and vault."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.errors import NotFound
from headrace.ids import new_id
from headrace.pipeline.conversation import (
    ConversationStore,
    conversation_handlers,
)
from headrace.pipeline.memory import Line, Summary
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter
from headrace.types import Message

KEY, OTHER_KEY = "key-1", "key-2"


class Place:
    """A home with everything that conversations need."""

    def __init__(self, home: Path, *, cache_bytes: int = 1 << 20) -> None:
        self.home = home
        self.database = Database.open(home / "state.db")
        self.vault = Vault.open(self.database, home)
        self.writer = BatchWriter(self.database, home / "journal", conversation_handlers())
        self.now = 1_000_000.0
        self.store = ConversationStore(
            self.database,
            self.writer,
            self.vault,
            clock=lambda: self.now,
            cache_bytes=cache_bytes,
        )

    async def say(self, conversation: str, *texts: str, owner: str = KEY) -> str:
        """One turn: questions, and last the answer."""
        history = await self.store.history(owner, conversation)
        await self.vault.unlock(owner)
        turn_id = new_id()
        assert self.store.remember(history, turn_id, lines(*texts), subject=owner)
        return turn_id

    async def texts(self, conversation: str, owner: str = KEY) -> list[str]:
        """What a later turn would have as context."""
        history = await self.store.history(owner, conversation)
        return [message.text() for turn in history.turns for message in turn.messages]

    async def shown(self, conversation: str, owner: str = KEY) -> list[str]:
        """What the page would show."""
        turns = await self.store.turns(owner, conversation)
        return [message.text() for _, messages in turns for message in messages]

    async def titles(self, owner: str = KEY) -> list[str]:
        return [each.title for each in await self.store.list(owner)]


def lines(*texts: str) -> list[Line]:
    *asked, answer = texts
    return [
        *(Line(Message("user", text)) for text in asked),
        Line(Message("assistant", answer)),
    ]


@contextmanager
def opened(home: Path, *, cache_bytes: int = 1 << 20, writing: bool = True) -> Iterator[Place]:
    """A place whose writer runs, or one whose records stay in the journal."""
    home.mkdir(exist_ok=True)
    place = Place(home, cache_bytes=cache_bytes)
    try:
        if writing:
            place.writer.start()
        yield place
    finally:
        place.writer.close()
        place.database.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with opened(tmp_path / "home") as place:
        yield place


async def test_a_turn_is_context_as_soon_as_it_is_remembered(place: Place) -> None:
    await place.say("c", "你好", "你好！有什么可以帮你？")
    await place.say("c", "再见", "再见！")
    assert await place.texts("c") == ["你好", "你好！有什么可以帮你？", "再见", "再见！"]


async def test_a_restarted_service_knows_the_conversation_with_its_summary(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as place:
        first = await place.say("c", "one", "two")
        history = await place.store.history(KEY, "c")
        summary = Summary("they counted", history.end)
        await place.store.summarise(history, summary)
    with opened(tmp_path / "home") as place:
        history = await place.store.history(KEY, "c")
        assert await place.texts("c") == ["one", "two"]
        assert history.summary == summary
        assert [turn_id for turn_id, _ in await place.store.turns(KEY, "c")] == [first]
        assert history.exists
        assert await place.titles() == ["one"]


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_conversation import Place

async def main() -> None:
    place = Place(Path(sys.argv[1]))
    await place.say("c", "accepted", "answered")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_turn_survives_kill_9_before_the_database_had_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    here = str(Path(__file__).parent)
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _KILLED, str(home), here], check=False
    )
    assert killed.returncode == -9
    with opened(home) as place:
        assert await place.texts("c") == ["accepted", "answered"]


async def test_another_key_never_sees_a_conversation(place: Place) -> None:
    await place.say("c", "mine", "yours")
    assert await place.texts("c", OTHER_KEY) == []
    assert await place.shown("c", OTHER_KEY) == []
    assert await place.titles(OTHER_KEY) == []
    with pytest.raises(NotFound):
        await place.store.delete(OTHER_KEY, "c")
    with pytest.raises(NotFound):
        await place.store.rename(OTHER_KEY, "c", "taken over")
    assert await place.texts("c") == ["mine", "yours"]


async def test_nothing_said_is_in_the_database_or_the_journal_in_clear(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as place:
        await place.say("c", "my secret plan", "a fine plan")
        await place.store.rename(KEY, "c", "the plan")
        await place.store.summarise(
            await place.store.history(KEY, "c"), Summary("all about a plan", "0")
        )
    for path in (tmp_path / "home").iterdir():
        assert b"plan" not in path.read_bytes(), path.name


async def test_the_page_shows_turns_that_the_database_does_not_have_yet(place: Place) -> None:
    await place.say("c", "stored", "1")
    await place.writer.flush()
    with place.database.write():
        await place.say("c", "on its way", "2")
        await place.say("new", "also", "3")
        assert await place.shown("c") == ["stored", "1", "on its way", "2"]
        assert await place.shown("new") == ["also", "3"]
        assert sorted(await place.titles()) == ["also", "stored"]
