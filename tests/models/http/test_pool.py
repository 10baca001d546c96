"""Connections: kept, bounded, opened in advance, and none ever lost sight of."""

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentThrottled, DeploymentTimeout
from headrace.models.http import Address, HttpClient, PoolSettings, TlsSettings
from headrace.models.http.resolve import Endpoint, Resolver
from tests.models.http.certificates import Authority
from tests.models.http.scripted import CHUNKED, OK, Script, always, asked, get, listening, serving


def holding(gate: asyncio.Event) -> Script:
    """Answers once the gate is open."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            await gate.wait()
            writer.write(OK)

    return script


async def test_few_connections_idle() -> None:
    async with listening(always(OK)) as server:
        client = HttpClient(server.address, pool=PoolSettings(max_idle=4))
        await asyncio.gather(*(get(client) for _ in range(12)))
        await server.until_open(4)
        assert client.state.idle == 4
        client.close()
        await server.until_open(0)


def test_what_is_kept_suits_the_address() -> None:
    of = PoolSettings.fitting
    assert of(Address.of("unix:/run/model.sock")).max_idle == 4
    assert of(Address.of("http://model")).idle_s < 5
    assert of(Address.of("https://model")).idle_s < 60


async def test_the_connection_used_last_is_used_first() -> None:
    ports: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            ports.append(writer.get_extra_info("peername")[1])
            writer.write(OK)

    async with serving(script) as (client, _):
        await asyncio.gather(*(get(client) for _ in range(5)))
        for _ in range(4):
            await get(client)
        assert len(set(ports)) == 5
        assert len(set(ports[5:])) == 1


async def test_idle_connections_are_closed_in_time_without_a_request() -> None:
    async with listening(always(OK)) as server:
        client = HttpClient(server.address, pool=PoolSettings(idle_s=0.05))
        await asyncio.gather(*(get(client) for _ in range(3)))
        assert len(server.made) == 3
        await server.until_open(0)
        assert client.state.open == 0


async def test_old_connections_are_not_used_again() -> None:
    async with listening(always(OK)) as server:
        client = HttpClient(server.address, pool=PoolSettings(max_age_s=1e-9))
        for _ in range(3):
            await get(client)
        assert len(server.made) == 3
        client.close()


async def test_requests_wait_where_connections_are_bounded() -> None:
    gate = asyncio.Event()
    async with listening(holding(gate)) as server:
        client = HttpClient(server.address, pool=PoolSettings(max_connections=2))
        asking = [asyncio.create_task(get(client)) for _ in range(10)]
        await server.until_open(2)
        while client.state.connecting:
            await asyncio.sleep(0)
        assert client.state.waiting == 8
        gate.set()
        assert await asyncio.gather(*asking) == [(200, b"ok")] * 10
        assert len(server.made) == 2
        client.close()


async def test_waiting_for_a_connection_ends() -> None:
    async with listening(holding(asyncio.Event())) as server:
        client = HttpClient(
            server.address, connect_timeout_s=0.05, pool=PoolSettings(max_connections=1)
        )
        first = asyncio.create_task(get(client))
        await server.until_open(1)
        with pytest.raises(DeploymentThrottled, match=r"all 1 connections to .* are in use"):
            await get(client)
        now = asyncio.get_running_loop().time()
        with pytest.raises(DeploymentTimeout, match="by the request's deadline"):
            async with client.request("GET", "/x", deadline=now + 0.01):
                pass
        assert client.state.waiting == 0
        first.cancel()
        client.close()


async def test_bounded_requests_to_a_dead_server_all_fail() -> None:
    client = HttpClient(Address(host="127.0.0.1", port=1), pool=PoolSettings(max_connections=1))
    results = await asyncio.gather(*(get(client) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in results] == [ModelUnavailable] * 5
    client.close()


async def test_a_connection_that_becomes_free_serves_who_waits_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request that has begun to connect takes whatever is there first."""
    monkeypatch.setattr("headrace.models.http.resolve.USABLE_S", 0.0)
    gate = asyncio.Event()
    lookups = 0
    async with listening(holding(gate)) as server:

        async def lookup(host: str, port: int) -> list[Endpoint]:
            nonlocal lookups
            lookups += 1
            if lookups > 1:
                await asyncio.Event().wait()
            return [Endpoint(socket.AF_INET, ("127.0.0.1", server.address.port))]

        client = HttpClient(Address(host="model.test", port=1), resolver=Resolver(lookup))
        first = asyncio.create_task(get(client))
        await server.until_open(1)
        second = asyncio.create_task(get(client))
        await asyncio.sleep(0)
        assert client.state.connecting == 1
        gate.set()
        assert await first == await second == (200, b"ok")
        assert len(server.made) == 1
        client.close()
        await server.until_open(0)


async def test_warm_connections_are_there_before_the_request_and_after() -> None:
    gate = asyncio.Event()
    async with listening(holding(gate)) as server:
        client = HttpClient(server.address)
        client.warm(2)
        await server.until_open(2)
        asking = asyncio.create_task(get(client))
        await server.until_open(3)
        gate.set()
        await asking
        client.close()
        await server.until_open(0)


async def test_warm_connections_are_renewed() -> None:
    async with listening(always(OK)) as server:
        client = HttpClient(server.address, pool=PoolSettings(idle_s=0.02))
        client.warm(1)
        while len(server.made) < 3:
            server.changed.clear()
            await server.changed.wait()
        client.close()
        await server.until_open(0)


async def test_warming_a_dead_server_harms_nobody() -> None:
    client = HttpClient(Address(host="127.0.0.1", port=1))
    client.warm(3)
    with pytest.raises(ModelUnavailable, match="Connection refused"):
        await get(client)
    while client.state.connecting:
        await asyncio.sleep(0)
    client.close()


async def test_closing_gives_up_who_waits_and_lets_streams_end() -> None:
    gate = asyncio.Event()
    async with listening(holding(gate)) as server:
        client = HttpClient(server.address, pool=PoolSettings(max_connections=1))
        running = asyncio.create_task(get(client))
        await server.until_open(1)
        waiting = asyncio.create_task(get(client))
        await asyncio.sleep(0)
        client.close()
        with pytest.raises(ModelUnavailable, match="are closed"):
            await waiting
        with pytest.raises(ModelUnavailable, match="are closed"):
            await get(client)
        gate.set()
        assert await running == (200, b"ok")
        await server.until_open(0)


async def test_a_request_that_must_not_be_repeated_is_not() -> None:
    requests = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await asked(reader)
        writer.write(OK)
        await asked(reader)
        requests += 1

    async with serving(once) as (client, made):
        await get(client)
        with pytest.raises(ModelUnavailable, match="broke off"):
            async with client.request("POST", "/pay", b"{}", resend=False):
                pass
        assert (requests, len(made)) == (1, 1)


async def test_a_server_that_dies_of_a_request_does_not_get_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had the request for longer than a stale connection takes to break."""
    monkeypatch.setattr("headrace.models.http.connection.STALE_WITHIN_S", -1.0)
    requests = 0

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await asked(reader)
        writer.write(OK)
        await asked(reader)
        requests += 1

    async with serving(dies) as (client, made):
        await get(client)
        with pytest.raises(ModelUnavailable, match="broke off"):
            await get(client)
        assert (requests, len(made)) == (1, 1)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_dial_that_is_cancelled_at_any_moment_is_not_counted_for_ever(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], tls: bool
) -> None:
    """A task may even end before it begins."""

    async def cancel_after(rounds: int, port: int) -> None:
        client = HttpClient(Address(host="127.0.0.1", port=port, tls=tls))
        client.warm(1)
        for _ in range(rounds):
            await asyncio.sleep(0)
        client.close()
        while client.state.open or client.state.connecting:
            await asyncio.sleep(0)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        for rounds in range(15):
            runner.run(cancel_after(rounds, listener.getsockname()[1]))


def test_a_dial_that_is_cancelled_when_it_has_just_connected_is_not_counted_for_ever() -> None:
    async def cancel(port: int) -> bool:
        client = HttpClient(Address(host="127.0.0.1", port=port))
        client.warm(1)
        while not client.state.open:
            await asyncio.sleep(0)
        came_in_time = client.state.connecting == 1
        client.close()
        while client.state.open or client.state.connecting:
            await asyncio.sleep(0)
        return came_in_time

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        port = listener.getsockname()[1]
        assert any(runner.run(cancel(port)) for _ in range(10))


async def _harass(client: HttpClient, seed: int) -> None:
    """Requests of all kinds, each cancelled after a random number of the loop's rounds."""
    chance = random.Random(seed)

    async def stream() -> None:
        async with client.request("POST", "/x", b"{}") as reply, aclosing(reply.chunks()) as chunks:
            async for _ in chunks:
                await asyncio.sleep(0)

    async def whole() -> None:
        await get(client, keep_alive=chance.random() < 0.7)

    async def one() -> None:
        task = asyncio.create_task(stream() if chance.random() < 0.5 else whole())
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        if chance.random() < 0.8:
            task.cancel()
        with suppress(asyncio.CancelledError, ModelUnavailable):
            await task

    await asyncio.gather(*(one() for _ in range(12)))


async def check_nothing_leaks(seed: int, script: Script, tls: Authority | None = None) -> None:
    context = tls.sign("127.0.0.1").server() if tls else None
    async with listening(script, tls=context) as server:
        client = HttpClient(
            server.address,
            response_timeout_s=5,
            idle_timeout_s=5,
            tls=TlsSettings(ca_file=str(tls.file)) if tls else None,
            pool=PoolSettings(max_idle=3, max_connections=random.Random(seed).choice([None, 4])),
        )
        await _harass(client, seed)
        while client.state.connecting:
            await asyncio.sleep(0)
        state = client.state
        assert state.waiting == 0
        assert state.idle <= 3
        while client.state.open != client.state.idle:
            await asyncio.sleep(0)
        assert await get(client) == (200, "hello 水!!".encode())
        client.close()
        await server.until_open(0)
        while client.state.open:
            await asyncio.sleep(0)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers in small pieces, one a round."""
    while True:
        await asked(reader)
        for at in range(0, len(CHUNKED), 16):
            writer.write(CHUNKED[at : at + 16])
            await writer.drain()
            await asyncio.sleep(0)


fuzzed = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzzed
@given(seed=st.integers(0, 1 << 32))
async def test_no_cancellation_leaks_a_connection(seed: int) -> None:
    await check_nothing_leaks(seed, dripping)


@fuzzed
@given(seed=st.integers(0, 1 << 32))
async def test_no_cancellation_leaks_a_connection_over_tls(authority: Authority, seed: int) -> None:
    await check_nothing_leaks(seed, dripping, authority)


@fuzzed
@given(seed=st.integers(0, 1 << 32))
def test_no_cancellation_leaks_a_connection_on_uvloop(authority: Authority, seed: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check_nothing_leaks(seed, dripping, authority if seed % 2 else None))


@pytest.mark.parametrize(
    "test",
    [
        test_few_connections_idle,
        test_requests_wait_where_connections_are_bounded,
        test_idle_connections_are_closed_in_time_without_a_request,
        test_closing_gives_up_who_waits_and_lets_streams_end,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_uvloop_makes_no_difference(test: Callable[[], Coroutine[object, object, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())
