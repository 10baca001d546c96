"""Being called with a response: order, back-pressure, giving up, mistakes in a sink."""

import asyncio
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.http import Address, Exchange, Head, HttpClient
from tests.models.http.scripted import CHUNKED, OK, Script, always, asked, listening, serving


class Notes:
    """A sink that writes down what it is told, and may act on it."""

    def __init__(self, on: Callable[[str], None] = lambda _: None) -> None:
        self.told: list[str] = []
        self.body = b""
        self.error: ModelUnavailable | None = None
        self.over = asyncio.Event()
        self._on = on

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if what in ("ended", "failed"):
            self.over.set()
        self._on(what)

    def began(self, head: Head) -> None:
        self._tell(f"began {head.status}")

    def received(self, data: bytes) -> None:
        assert data
        self.body += data
        self._tell("received")

    def ended(self) -> None:
        self._tell("ended")

    def failed(self, error: ModelUnavailable) -> None:
        self.error = error
        self._tell("failed")


def send(client: HttpClient, notes: Notes, body: bytes = b"{}") -> Exchange:
    return client.exchange(client.head("POST", "/x"), body, notes)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, len(CHUNKED) - 1), max_size=5))
async def test_a_sink_is_told_in_order(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(CHUNKED)]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            for begin, end in itertools.pairwise(edges):
                writer.write(CHUNKED[begin:end])
                await writer.drain()
                await asyncio.sleep(0)

    async with serving(script) as (client, _):
        for _ in range(2):
            notes = Notes()
            exchange = send(client, notes)
            await notes.over.wait()
            assert notes.told[0] == "began 200"
            assert notes.told[-1] == "ended"
            assert set(notes.told[1:-1]) == {"received"}
            assert notes.body == "hello 水!!".encode()
            assert exchange.is_over


async def test_one_head_serves_many_requests() -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await asked(reader))
            writer.write(OK)

    async with serving(script) as (client, made):
        head = client.head("POST", "/v1/chat", headers=[("Authorization", "Bearer k")])
        for body in (b"one", b"", b"three"):
            notes = Notes()
            client.exchange(head, body, notes)
            await notes.over.wait()
        assert len(made) == 1
    assert [each.partition(b"\r\n\r\n")[2] for each in heads] == [b"one", b"", b"three"]
    lines = heads[0].split(b"\r\n")
    assert lines[0] == b"POST /v1/chat HTTP/1.1"
    assert b"Authorization: Bearer k" in lines
    assert b"content-type: application/json" in lines
    assert b"content-length: 0" in heads[1].split(b"\r\n")


async def test_a_sink_may_ask_again_as_soon_as_it_is_told_the_end() -> None:
    async with serving(always(OK)) as (client, made):
        second = Notes()

        def ask_again(what: str) -> None:
            if what == "ended":
                send(client, second)

        first = Notes(ask_again)
        send(client, first)
        await second.over.wait()
        assert second.told == ["began 200", "received", "ended"]
        assert len(made) == 1


@pytest.mark.parametrize("moment", ["began 200", "received"])
async def test_after_giving_up_a_sink_is_told_nothing(moment: str) -> None:
    async with listening(always(CHUNKED)) as server:
        client = HttpClient(server.address)
        held: list[Exchange] = []
        notes = Notes(lambda what: held[0].abort() if what == moment else None)
        held.append(send(client, notes))
        await server.until_open(1)
        await server.until_open(0)
        assert notes.told[-1] == moment
        assert held[0].is_over
        held[0].abort()  # once more does nothing
        client.close()


async def test_giving_up_before_there_is_a_connection() -> None:
    async with listening(always(OK)) as server:
        client = HttpClient(server.address)
        notes = Notes()
        send(client, notes).abort()
        await server.until_open(1)
        assert client.state.waiting == 0
        assert not notes.told
        client.close()
        await server.until_open(0)


async def test_a_handle_that_is_over_does_not_touch_the_next_request() -> None:
    async with serving(always(OK)) as (client, made):
        old, new = Notes(), Notes()
        exchange = send(client, old)
        await old.over.wait()
        send(client, new)
        exchange.pause()
        exchange.abort()
        await new.over.wait()
        assert new.told[-1] == "ended"
        assert len(made) == 1


async def test_a_paused_exchange_makes_the_server_wait() -> None:
    size = 32 << 20
    written = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            writer.write(bytes(65536))
            await writer.drain()
        written.set()
        await reader.read()

    async with serving(script) as (client, _):
        notes = Notes()
        exchange = send(client, notes)
        exchange.pause()  # even before it is connected
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(written.wait(), 0.2)
        assert notes.told == []
        exchange.resume()
        await notes.over.wait()
        assert len(notes.body) == size


async def test_a_paused_exchange_that_ends_leaves_a_connection_that_reads() -> None:
    async with serving(always(OK)) as (client, made):
        held: list[Exchange] = []
        notes = Notes(lambda what: held[0].pause() if what == "received" else None)
        held.append(send(client, notes))
        await notes.over.wait()
        again = Notes()
        send(client, again)
        await again.over.wait()
        assert len(made) == 1


async def test_a_mistake_in_a_sink_ends_its_exchange_only() -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def fall_over(what: str) -> None:
        if what == "received":
            raise LookupError("the patient's name")

    async with serving(always(CHUNKED)) as (client, _):
        notes = Notes(fall_over)
        send(client, notes)
        await notes.over.wait()
        assert isinstance(notes.error, ModelUnavailable)
        assert "patient" not in notes.error.message
        assert isinstance(reported[0]["exception"], LookupError)
        after = Notes()
        send(client, after)
        await after.over.wait()
        assert after.told[-1] == "ended"


def endless(piece: bytes, start: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(start)
        while not writer.is_closing():
            writer.write(piece * 100)
            await writer.drain()

    return script


@pytest.mark.parametrize(
    ("piece", "start"),
    [
        (b"x: y\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"),
        (b"y", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: "),
        (b";a=b", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b""),
    ],
    ids=["trailers", "a trailer", "a chunk extension", "interim replies"],
)
async def test_what_never_becomes_a_body_is_cut_off(piece: bytes, start: bytes) -> None:
    async with serving(endless(piece, start)) as (client, _):
        notes = Notes()
        send(client, notes)
        await notes.over.wait()
        assert notes.told[-1] == "failed"


async def test_trailers_are_passed_over() -> None:
    reply = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: a\r\nx-one: b\r\n\r\n"
        b"2\r\nok\r\n0\r\nx-two: c\r\n\r\n"
    )
    async with serving(always(reply)) as (client, made):
        for _ in range(2):
            async with client.request("GET", "/x") as got:
                assert await got.read() == b"ok"
                assert got.headers == {"transfer-encoding": "chunked", "x-one": "a, b"}
        assert len(made) == 1


async def test_another_protocol_is_refused() -> None:
    reply = (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n\x00\x01"
    )
    async with serving(always(reply)) as (client, _):
        notes = Notes()
        send(client, notes)
        await notes.over.wait()
        assert notes.error is not None
        assert "another protocol" in notes.error.message


async def test_a_reply_before_the_request_was_read_ends_the_connection() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        while await reader.read(1 << 20):
            pass

    async with serving(early) as (client, _):
        notes = Notes()
        send(client, notes, bytes(32 << 20))
        await notes.over.wait()
        assert notes.told == ["began 413", "ended"]
        assert client.state.idle == 0


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([("authorization", "Bearer hunter2\n")], "'authorization' has a line break"),
        ([("x\r\ny", "z")], "has a line break"),
        ([("Content-Length", "3")], "not yours to set"),
        ([("transfer-encoding", "chunked")], "not yours to set"),
    ],
)
def test_a_header_that_would_break_the_request_is_refused(
    headers: list[tuple[str, str]], words: str
) -> None:

    client = HttpClient(Address(host="model", port=80))
    with pytest.raises(DeploymentMisconfigured, match=words) as caught:
        client.head("POST", "/x", headers=headers)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("path", ["/x y", "/x\r\nx: y"])
def test_a_path_that_would_break_the_request_is_refused(path: str) -> None:

    client = HttpClient(Address(host="model", port=80))
    with pytest.raises((ValueError, DeploymentMisconfigured)):
        client.head("POST", path)


def test_methods_whose_replies_are_framed_otherwise_are_refused() -> None:
    client = HttpClient(Address(host="model", port=80))
    for method in ("HEAD", "CONNECT", "get"):
        with pytest.raises(ValueError, match="is none that this client speaks"):
            client.head(method, "/x")


def test_a_key_is_not_in_the_representation_of_a_head() -> None:
    client = HttpClient(Address(host="model", port=80))
    assert "hunter2" not in repr(client.head("POST", "/x", headers=[("x-api-key", "hunter2")]))


def test_headers_take_the_place_of_ours() -> None:

    client = HttpClient(Address(host="model", port=80))
    head = client.head("POST", "/x", headers=[("Host", "other"), ("Content-Type", "text/plain")])
    lines = head.with_body(b"").split(b"\r\n")
    assert b"Host: other" in lines
    assert b"Content-Type: text/plain" in lines
    assert b"host: model" not in lines
    assert b"content-type: application/json" not in lines
