"""Names: remembered, looked up again when needed, and said plainly when they are wrong."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from headrace.errors import ModelUnavailable
from headrace.models.http import Address, HttpClient
from headrace.models.http import dial as dial_module
from headrace.models.http.resolve import Endpoint, Resolver
from tests.models.http.scripted import OK, always, get, listening


class Names:
    """A name service that a test changes."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses = list(addresses)
        self.asked = 0
        self.failure: OSError | None = None

    async def __call__(self, host: str, port: int) -> Sequence[Endpoint]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return [
            Endpoint(socket.AF_INET6, (host, port, 0, 0))
            if ":" in host
            else Endpoint(socket.AF_INET, (host, port))
            for host, port in self.addresses
        ]


def client_of(names: Names, port: int = 1) -> HttpClient:
    return HttpClient(Address(host="model.test", port=port), resolver=Resolver(names))


async def test_a_name_that_does_not_exist_is_said_plainly() -> None:
    client = HttpClient(Address.of("http://no-such-host.invalid/v1"))
    with pytest.raises(ModelUnavailable, match=r"'no-such-host\.invalid' is not known") as caught:
        await get(client)
    assert "spelling" in caught.value.hint
    client.close()


async def test_dns_that_fails_is_told_from_a_wrong_name() -> None:
    names = Names()
    names.failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    client = client_of(names)
    with pytest.raises(ModelUnavailable, match="DNS does not answer"):
        await get(client)
    client.close()


async def test_a_name_is_looked_up_once_for_many_connections() -> None:
    async with listening(always(OK)) as server:
        names = Names(("127.0.0.1", server.address.port))
        client = client_of(names)
        await asyncio.gather(*(get(client) for _ in range(20)))
        await asyncio.gather(*(get(client) for _ in range(20)))
        client.close()
        assert names.asked == 1


async def test_a_server_that_moved_is_found() -> None:
    async with listening(always(OK)) as old:
        names = Names(("127.0.0.1", old.address.port))
        client = client_of(names)
        await get(client)
    async with listening(always(OK)) as new:
        names.addresses = [("127.0.0.1", new.address.port)]
        assert await get(client) == (200, b"ok")
        client.close()


async def test_while_dns_fails_the_last_answer_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.models.http.resolve.FRESH_S", 0.0)
    monkeypatch.setattr("headrace.models.http.resolve.USABLE_S", 0.0)
    async with listening(always(OK)) as server:
        names = Names(("127.0.0.1", server.address.port))
        client = client_of(names)
        await get(client, keep_alive=False)
        names.failure = socket.gaierror(socket.EAI_AGAIN, "no DNS")
        assert await get(client, keep_alive=False) == (200, b"ok")
        assert names.asked == 2
        client.close()


async def test_an_answer_is_renewed_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.models.http.resolve.FRESH_S", 0.0)
    asked = asyncio.Event()

    async def lookup(host: str, port: int) -> Sequence[Endpoint]:
        if asked.is_set():
            await asyncio.Event().wait()  # never again: nobody must wait for this
        asked.set()
        return [Endpoint(socket.AF_INET, ("127.0.0.1", port))]

    resolver = Resolver(lookup)
    first = await resolver.endpoints("model.test", 80)
    assert first == ([Endpoint(socket.AF_INET, ("127.0.0.1", 80))], True)
    assert await resolver.endpoints("model.test", 80) == (first[0], False)
    resolver.close()


async def test_each_address_is_tried() -> None:
    async with listening(always(OK)) as server:
        dead = socket.create_server(("127.0.0.1", 0))
        port = dead.getsockname()[1]
        dead.close()
        client = client_of(
            Names(("::1", port), ("127.0.0.1", port), ("127.0.0.1", server.address.port))
        )
        assert await get(client) == (200, b"ok")
        client.close()


async def test_an_address_that_swallows_packets_is_overtaken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dial_module, "NEXT_ADDRESS_AFTER_S", 0.01)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # A listener whose queue is full answers no more, like a host behind a silent firewall.
        port = full.getsockname()[1]
        clogging = [socket.socket() for _ in range(4)]
        for each in clogging:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        async with listening(always(OK)) as server:
            client = client_of(Names(("127.0.0.1", port), ("127.0.0.1", server.address.port)))
            assert await get(client) == (200, b"ok")
            assert client.state.open == 1
            client.close()
        for each in clogging:
            each.close()


async def test_what_each_address_said_is_told() -> None:
    client = client_of(Names(("127.0.0.1", 1), ("127.0.0.2", 1)))
    with pytest.raises(ModelUnavailable) as caught:
        await get(client)
    assert caught.value.message == (
        "no model server answers at model.test:1: "
        "127.0.0.1: Connection refused; 127.0.0.2: Connection refused"
    )
    client.close()


async def test_families_take_turns() -> None:
    names = Names(("::1", 1), ("::2", 1), ("::3", 1), ("10.0.0.1", 1))
    endpoints, _ = await Resolver(names).endpoints("model.test", 1)
    assert [str(each) for each in endpoints] == ["::1", "10.0.0.1", "::2", "::3"]


async def test_the_system_knows_localhost() -> None:
    endpoints, is_new = await Resolver().endpoints("localhost", 80)
    assert is_new
    assert "127.0.0.1" in [str(each) for each in endpoints]


async def test_one_request_that_is_given_up_does_not_fail_others() -> None:
    gate = asyncio.Event()
    async with listening(always(OK)) as server:

        async def lookup(host: str, port: int) -> Sequence[Endpoint]:
            await gate.wait()
            return [Endpoint(socket.AF_INET, ("127.0.0.1", server.address.port))]

        client = HttpClient(Address(host="model.test", port=1), resolver=Resolver(lookup))
        given_up = asyncio.create_task(get(client))
        other = asyncio.create_task(get(client))
        await asyncio.sleep(0)
        given_up.cancel()
        gate.set()
        assert await other == (200, b"ok")
        client.close()
