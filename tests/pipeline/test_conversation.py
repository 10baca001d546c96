"""Conversations: remembered at once, found again after eviction, restart and crash, gone when
deleted. With a real database, journal, writer and vault."""

import asyncio
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, func, select

from headrace.errors import InvalidRequest, NotFound
from headrace.ids import new_id
from headrace.pipeline.conversation import (
    ConversationStore,
    check_conversation_id,
    conversation_handlers,
)
from headrace.pipeline.memory import Line, Summary
from headrace.pipeline.record import (
    ConversationRecord,
    DeletionRecord,
    SummaryRecord,
    TitleRecord,
    TurnRecord,
    encode_record,
    write_records,
)
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.errors import StateUnusable
from headrace.storage.tables import conversation_messages, conversations
from headrace.storage.writer import BatchWriter
from headrace.types import FunctionCall, Message, ToolCall

pytestmark = pytest.mark.engines

KEY, OTHER_KEY = "key-1", "key-2"


class Place:
    """A home with everything that conversations need."""

    def __init__(self, home: Path, *, cache_bytes: int = 1 << 20) -> None:
        self.home = home
        self.database = Database.open(home / "state.db")
        self.vault = Vault.open(self.database, home)
        self.writer = BatchWriter(self.database, home / "journal", conversation_handlers())
        self.now = 1_000_000.0
        self.store = self.another_store(cache_bytes)

    def another_store(self, cache_bytes: int = 1 << 20) -> ConversationStore:
        """One that remembers nothing yet."""
        return ConversationStore(
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

    def rows(self) -> tuple[int, int]:
        """Conversations and messages in the database."""
        with self.database.read() as connection:
            counts = [
                connection.execute(select(func.count()).select_from(each)).scalar_one()
                for each in (conversations, conversation_messages)
            ]
        return counts[0], counts[1]

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
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "state.db")
    yield database
    database.close()


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


@pytest.mark.sqlite
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


async def test_a_deleted_conversation_is_gone_though_its_turns_were_on_their_way(
    place: Place,
) -> None:
    for number in range(5):
        await place.say("c", f"question {number}", "answer")
    await place.store.delete(KEY, "c")
    assert await place.texts("c") == []
    assert await place.shown("c") == []
    assert await place.titles() == []
    assert place.rows() == (0, 0)
    with pytest.raises(NotFound):
        await place.store.delete(KEY, "c")


async def test_a_deletion_hides_the_conversation_before_the_database_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipeline.conversation._FLUSH_S", 0.05)
    with opened(tmp_path / "home") as place:
        await place.say("c", "old", "1")
        await place.writer.flush()
        with place.database.write():
            await place.store.delete(KEY, "c")
            assert await place.shown("c") == []
            assert await place.titles() == []
            await place.say("c", "new", "2")
            assert await place.shown("c") == ["new", "2"]
            assert await place.titles() == ["new"]
        await place.writer.flush()
        assert await place.shown("c") == ["new", "2"]
    with opened(tmp_path / "home") as place:
        assert await place.texts("c") == ["new", "2"]


async def test_a_turn_that_ends_after_the_deletion_is_not_remembered(place: Place) -> None:
    await place.say("c", "one", "1")
    running = await place.store.history(KEY, "c")
    await place.store.delete(KEY, "c")
    assert not place.store.remember(running, new_id(), lines("two", "2"), subject=KEY)
    assert await place.texts("c") == []
    assert place.rows() == (0, 0)


async def test_a_summary_that_is_late_does_not_touch_the_conversation_begun_anew(
    place: Place,
) -> None:
    await place.say("c", "one", "1")
    history = await place.store.history(KEY, "c")
    summarising = asyncio.ensure_future(place.store.summarise(history, Summary("old", "0")))
    await place.store.delete(KEY, "c")
    await summarising
    await place.say("c", "two", "2")
    await place.writer.flush()
    place.store = place.another_store()
    assert (await place.store.history(KEY, "c")).summary is None


async def test_turns_at_the_same_time_are_both_kept_whole(place: Place) -> None:
    first = await place.store.history(KEY, "c")
    second = await place.store.history(KEY, "c")
    await place.vault.unlock(KEY)
    place.store.remember(second, "b", lines("b", "b1", "b2"), subject=KEY)
    place.store.remember(first, "a", lines("a", "a1"), subject=KEY)
    await place.writer.flush()
    turns = [(turn, [m.text() for m in said]) for turn, said in await place.store.turns(KEY, "c")]
    assert turns == [("b", ["b", "b1", "b2"]), ("a", ["a", "a1"])]


async def test_a_conversation_is_read_once_however_many_ask_for_it(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as place:
        await place.say("c", "a", "b")
    with opened(tmp_path / "home") as place:
        found = await asyncio.gather(*(place.store.history(KEY, "c") for _ in range(8)))
        assert {id(each) for each in found} == {id(found[0])}
        assert [len(each.turns) for each in found] == [1] * 8


async def test_a_client_that_leaves_while_its_conversation_is_read_does_not_double_it(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as first:
        await first.say("a", "Hello", "Hi")
    with opened(tmp_path) as place:
        reading, goes_on = threading.Event(), threading.Event()

        def wait(*args: object) -> None:
            reading.set()
            assert goes_on.wait(10)

        event.listen(place.database.engine, "before_cursor_execute", wait)
        leaving = asyncio.create_task(place.store.history(KEY, "a"))
        assert await asyncio.to_thread(reading.wait, 10)
        leaving.cancel()
        staying = asyncio.create_task(place.texts("a"))
        await asyncio.wait([leaving])
        goes_on.set()
        assert await staying == ["Hello", "Hi"]
        # The first reader's thread may have ended after the second's.
        await asyncio.get_running_loop().shutdown_default_executor()
        assert await place.texts("a") == ["Hello", "Hi"]


async def test_conversations_that_left_the_cache_are_read_again(tmp_path: Path) -> None:
    with opened(tmp_path / "home", cache_bytes=8_000) as place:
        for number in range(40):
            await place.say(f"c{number}", f"question {number}", "x" * 500)
        for number in range(40):
            await place.say(f"c{number}", f"again {number}", "y" * 500)
        for number in range(40):
            texts = await place.texts(f"c{number}")
            assert texts[::2] == [f"question {number}", f"again {number}"]


async def test_nothing_leaves_the_cache_before_the_database_has_it(tmp_path: Path) -> None:
    with opened(tmp_path / "home", cache_bytes=8_000) as place:
        await place.say("first", "x", "y")
        await place.writer.flush()
        with place.database.write():
            for number in range(40):
                await place.say(f"c{number}", f"question {number}", "x" * 500)
            for number in range(40):
                assert (await place.texts(f"c{number}"))[0] == f"question {number}"


async def test_a_long_conversation_keeps_its_newest_turns_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.pipeline.memory.KEPT_BYTES", 20_000)
    monkeypatch.setattr("headrace.pipeline.conversation.KEPT_BYTES", 20_000)
    home = tmp_path / "home"
    with opened(home) as place:
        for number in range(60):
            await place.say("c", str(number), "x" * 500)
        warm = (await place.texts("c"))[::2]
        await place.writer.flush()
        assert len(await place.shown("c")) == 120
    with opened(home) as place:
        cold = (await place.texts("c"))[::2]
    for texts in (warm, cold):
        assert 10 < len(texts) < 60
        assert texts == [str(number) for number in range(60 - len(texts), 60)]


async def test_a_title_is_the_beginning_of_the_first_message_on_one_line(place: Place) -> None:
    place.now += 1
    await place.say("a", "  How do\n I sharpen\u202e a chisel?  ", "With a stone.")
    place.now += 1
    await place.say("b", "水" * 200, "好")
    assert await place.titles() == ["水" * 79 + "…", "How do I sharpen a chisel?"]


async def test_a_new_name_stays(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as place:
        await place.say("c", "first words", "1")
        await place.store.rename(KEY, "c", "Chisels")
        await place.say("c", "more words", "2")
        assert await place.titles() == ["Chisels"]
    with opened(tmp_path / "home") as place:
        assert await place.titles() == ["Chisels"]


async def test_the_list_has_the_conversation_used_last_first(place: Place) -> None:
    for name in ("a", "b", "c", "a"):
        place.now += 10
        await place.say(name, name, "1")
    assert [each.id for each in await place.store.list(KEY)] == ["a", "c", "b"]
    await place.writer.flush()
    assert [each.id for each in await place.store.list(KEY)] == ["a", "c", "b"]


async def test_pruning_deletes_what_was_not_used_and_leaves_the_rest(place: Place) -> None:
    await place.say("old", "old", "1")
    await place.say("in use", "in use", "1")
    place.now += 1_000
    await place.say("new", "new", "1")
    await place.writer.flush()
    running = await place.store.history(KEY, "in use")
    assert await asyncio.to_thread(place.store.prune, before=place.now - 500) == 1
    assert sorted(await place.titles()) == ["in use", "new"]
    assert await place.texts("old") == []
    assert place.store.remember(running, new_id(), lines("more", "2"), subject=KEY)
    assert await place.texts("in use") == ["in use", "1", "more", "2"]


async def test_pruning_takes_any_number(place: Place) -> None:
    for number in range(250):
        await place.say(f"c{number}", "x", "y")
    await place.writer.flush()
    assert await asyncio.to_thread(place.store.prune, before=place.now + 1) == 250
    assert place.rows() == (0, 0)


async def test_order_survives_a_clock_that_was_set_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.say("c", "one", "1")
    ids = iter(f"00000000-0000-7000-8000-{n:012x}" for n in itertools.count())
    monkeypatch.setattr("headrace.pipeline.conversation.new_id", lambda: next(ids))
    await place.say("c", "two", "2")
    await place.say("c", "three", "3")
    await place.writer.flush()
    assert await place.shown("c") == ["one", "1", "two", "2", "three", "3"]


async def test_text_of_an_erased_subject_is_left_out(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as place:
        await place.say("c", "mine", "1")
        history = await place.store.history(KEY, "c")
        await place.vault.unlock("guest")
        place.store.remember(history, new_id(), lines("the guest's", "2"), subject="guest")
    with opened(tmp_path / "home") as place:
        await asyncio.to_thread(place.vault.destroy, "guest")
        assert await place.texts("c") == ["mine", "1"]
        assert await place.shown("c") == ["mine", "1"]


async def test_a_conversation_that_must_be_read_from_a_broken_database_says_so(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "home") as place:
        await place.say("warm", "a", "b")
        await place.writer.flush()
        with place.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE conversation_messages")
        assert await place.texts("warm") == ["a", "b"]
        with pytest.raises(StateUnusable):
            await place.store.history(KEY, "cold")


async def test_a_full_journal_costs_durability_but_not_the_turn(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as place:
        history = await place.store.history(KEY, "c")
        await place.vault.unlock(KEY)
        long = "x" * (place.writer.capacity_bytes // 4)
        assert not place.store.remember(history, new_id(), lines("long", long), subject=KEY)
        assert (await place.texts("c"))[0] == "long"


async def test_tool_calls_and_content_parts_come_back_as_they_were(tmp_path: Path) -> None:
    call = ToolCall(id="c1", function=FunctionCall(name="weather", arguments='{"city": "柏林"}'))
    parts: list[dict[str, object]] = [
        {"type": "text", "text": "And this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    kept = [
        Line(Message("user", parts, name="ada"), Message("user", "And this?")),
        Line(Message("assistant", None, tool_calls=[call])),
    ]
    with opened(tmp_path / "home") as place:
        history = await place.store.history(KEY, "c")
        await place.vault.unlock(KEY)
        place.store.remember(history, "t", kept, subject=KEY, is_usable=False)
    with opened(tmp_path / "home") as place:
        turn = (await place.store.history(KEY, "c")).turns[0]
        assert (turn.id, list(turn.lines), turn.is_usable) == ("t", kept, False)


@pytest.mark.parametrize("wrong", ["", "x" * 201, "a\nb", "a\x00b", "\u202eevil"])
async def test_what_cannot_be_an_id_is_refused(place: Place, wrong: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await place.store.history(KEY, wrong)
    assert caught.value.param == "conversation"


@pytest.mark.sqlite
@given(wanted=st.text(min_size=1, max_size=200).filter(str.isprintable))
def test_any_printable_text_can_be_an_id(wanted: str) -> None:
    check_conversation_id(wanted)


@pytest.mark.sqlite
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(st.tuples(st.sampled_from("stdn"), st.sampled_from("ab")), max_size=12))
async def test_records_written_twice_change_nothing(
    database: Database, actions: list[tuple[str, str]]
) -> None:
    records = list(records_of(actions))
    with database.write() as connection:
        for each in conversations, conversation_messages:
            connection.execute(delete(each))
        write_records(connection, records)
    once = dump(database)
    with database.write() as connection:
        write_records(connection, records)
    assert dump(database) == once
    # A crash may bring any end of the journal again, but never without what followed.
    for start in range(len(records)):
        with database.write() as connection:
            write_records(connection, records[start:])
        assert dump(database) == once


def records_of(actions: list[tuple[str, str]]) -> Iterator[bytes]:
    """Records as the store makes them: only a conversation that is there is changed."""
    there: set[str] = set()
    for number, (kind, name) in enumerate(actions):
        yield record(kind if name in there else "n", name, number)
        if kind == "d" and name in there:
            there.remove(name)
        else:
            there.add(name)


def record(kind: str, name: str, number: int) -> bytes:
    key = (KEY, name)
    made: ConversationRecord
    if kind == "s":
        made = SummaryRecord(*key, b"summary %d" % number)
    elif kind == "t":
        made = TitleRecord(*key, b"title %d" % number)
    elif kind == "d":
        made = DeletionRecord(*key)
    else:
        made = TurnRecord(*key, "s_0", float(number), b"new", [(f"{number:04}", b"sealed")])
    return encode_record(made)


def dump(database: Database) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [
            tuple(row)
            for each in (conversations, conversation_messages)
            for row in connection.execute(select(each).order_by(each.c.id))
        ]
