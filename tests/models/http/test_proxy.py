"""HTTP proxies: which one is taken, and requests through a real one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.http import Address, HttpClient, Proxies, TlsSettings
from headrace.models.http.proxy import Proxy
from tests.models.http.certificates import Authority
from tests.models.http.scripted import OK, Listening, always, get, listening


@dataclass
class Relay:
    """A proxy that a test watches."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    password: str | None = None
    """What it wants in Proxy-Authorization."""
    answer: bytes | None = None
    """What it says instead of doing it."""

    def proxies(self, secret: str = "") -> Proxies:
        return Proxies.always(f"http://{secret}127.0.0.1:{self.port}")


@asynccontextmanager
async def proxying() -> AsyncIterator[Relay]:
    """An HTTP proxy: CONNECT, and whole URLs."""
    relay = Relay()
    tasks: set[asyncio.Task[None] | None] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError), closing(writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def lead(
        method: str, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host = target if method == "CONNECT" else Address.of(target).authority
        name, _, port = host.rpartition(":")
        up_reader, up_writer = await asyncio.open_connection(name.strip("[]"), int(port))
        with closing(up_writer):
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                up_writer.write(relay.heads[-1])
            await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with closing(writer), suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            relay.heads.append(await reader.readuntil(b"\r\n\r\n"))
            method, target, _ = relay.heads[-1].split(b"\r\n")[0].decode().split(" ")
            if relay.password is not None and relay.password.encode() not in relay.heads[-1]:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
                )
            elif relay.answer is not None:
                writer.write(relay.answer)
            else:
                await lead(method, target, reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)


def tunnelled(server: Listening, authority: Authority, proxies: Proxies) -> HttpClient:
    return HttpClient(
        replace(server.address, host="localhost"),
        tls=TlsSettings(ca_file=str(authority.file)),
        proxies=proxies,
    )


async def test_https_goes_through_a_tunnel(authority: Authority) -> None:
    tls = authority.sign("localhost").server()
    async with proxying() as relay, listening(always(OK), tls=tls) as server:
        client = tunnelled(server, authority, relay.proxies("mill:w%40ter@"))
        assert [await get(client) for _ in range(3)] == [(200, b"ok")] * 3
        client.close()
        assert len(relay.heads) == 1
        head = relay.heads[0]
        port = server.address.port
        assert head.startswith(
            f"CONNECT localhost:{port} HTTP/1.1\r\nhost: localhost:{port}\r\n".encode()
        )
        assert b"\r\nproxy-authorization: Basic bWlsbDp3QHRlcg==\r\n" in head


async def test_http_is_asked_for_by_its_whole_url() -> None:
    async with proxying() as relay, listening(always(OK)) as server:
        address = replace(server.address, base_path="/v1")
        client = HttpClient(address, proxies=relay.proxies("mill:water@"))
        assert [await get(client) for _ in range(3)] == [(200, b"ok")] * 3
        client.close()
        assert len(relay.heads) == 1
        at = f"127.0.0.1:{server.address.port}"
        assert relay.heads[0].startswith(
            f"GET http://{at}/v1/x HTTP/1.1\r\nhost: {at}\r\n".encode()
        )
        assert b"\r\nproxy-authorization: Basic bWlsbDp3YXRlcg==\r\n" in relay.heads[0]


async def test_the_server_never_sees_the_proxys_password(authority: Authority) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        await reader.read()

    tls = authority.sign("localhost").server()
    async with proxying() as relay, listening(script, tls=tls) as server:
        client = tunnelled(server, authority, relay.proxies("mill:water@"))
        await get(client)
        client.close()
    assert b"proxy-authorization" not in heads[0].lower()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("secret", "words"),
    [("", "wants a password"), ("mill:hunter2@", "refuses this user or password")],
)
async def test_a_proxy_that_wants_another_password_is_said_plainly(
    tls: bool, secret: str, words: str, authority: Authority
) -> None:
    async with proxying() as relay:
        relay.password = "Basic something else"
        address = Address(host="model.test", port=443, tls=tls)
        client = HttpClient(address, proxies=relay.proxies(secret))
        with pytest.raises(DeploymentMisconfigured, match=words) as caught:
            await get(client)
        client.close()
    assert f"127.0.0.1:{relay.port}" in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", DeploymentMisconfigured, "refuses to connect to model.test:443"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", ModelUnavailable, "cannot connect to model.test:443"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", DeploymentMisconfigured, "is no HTTP proxy"),
        (b"HTTP/1.1 2", DeploymentMisconfigured, "is no HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000, ModelUnavailable, "more than an answer"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurprise", ModelUnavailable, "more than an answer"),
        (b"", ModelUnavailable, "hung up without an answer"),
    ],
    ids=["403", "502", "another protocol", "cut", "endless", "more", "nothing"],
)  # fmt: skip
async def test_what_a_proxy_says_instead_of_a_tunnel_is_told(
    answer: bytes, kind: type[ModelUnavailable], words: str
) -> None:
    async with proxying() as relay:
        relay.answer = answer
        client = HttpClient(
            Address(host="model.test", port=443, tls=True), proxies=relay.proxies("mill:hunter2@")
        )
        with pytest.raises(kind, match=words) as caught:
            await get(client)
        client.close()
    assert type(caught.value) is kind
    assert "hunter2" not in caught.value.message + caught.value.hint


async def test_a_proxy_that_is_down_is_named() -> None:
    proxies = Proxies.always("http://mill:hunter2@127.0.0.1:1")
    client = HttpClient(Address(host="model.test", port=80), proxies=proxies)
    with pytest.raises(ModelUnavailable) as caught:
        await get(client)
    assert caught.value.message == "no proxy answers at 127.0.0.1:1: Connection refused"
    client.close()


PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_taken"),
    [
        ("https://api.example.com", "", True),
        ("https://api.example.com", "*", False),
        ("https://api.example.com", "example.com", False),
        ("https://api.example.com", ".example.com", False),
        ("https://api.example.com", "*.example.com", False),
        ("https://example.com", "example.com", False),
        ("https://example.com", ".example.com", True),
        ("https://notexample.com", "example.com", True),
        ("https://API.Example.com.", "other, EXAMPLE.COM", False),
        ("https://api.example.com", "other example.com", False),
        ("https://api.example.com", "example.com:443", False),
        ("https://api.example.com:8443", "example.com:443", True),
        ("http://10.1.2.3", "10.0.0.0/8", False),
        ("http://11.1.2.3", "10.0.0.0/8", True),
        ("http://10.1.2.3", "10.1.2.3", False),
        ("http://10.1.2.3:8000", "10.1.2.3:80", True),
        ("http://[2001:db8::7]", "2001:db8::/32", False),
        ("http://[2001:db8::7]:80", "[2001:db8::7]:80", False),
        ("http://[2001:db9::7]", "2001:db8::/32", True),
        ("http://localhost:8000", "", False),
        ("http://127.0.0.1:8000", "", False),
        ("http://[::1]:8000", "", False),
        ("unix:/run/model.sock", "", False),
    ],
)
def test_no_proxy_says_who_is_reached_directly(url: str, no_proxy: str, is_taken: bool) -> None:
    environment = {"HTTP_PROXY": PROXY, "https_proxy": PROXY, "NO_PROXY": no_proxy}
    proxy = Proxies.from_environment(environment).leading_to(Address.of(url))
    assert proxy == (Proxy("proxy.test", 3128) if is_taken else None)


def test_each_scheme_has_its_proxy_and_lower_case_comes_first() -> None:
    proxies = Proxies.from_environment(
        {"HTTP_PROXY": "upper:1", "http_proxy": "lower:2", "ALL_PROXY": "http://all:3"}
    )
    assert proxies.leading_to(Address.of("http://model")) == Proxy("lower", 2)
    assert proxies.leading_to(Address.of("https://model")) == Proxy("all", 3)
    assert Proxies.from_environment({}).leading_to(Address.of("http://model")) is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("socks5://mill:hunter2@proxy", "not 'socks5://'"),
        ("https://mill:hunter2@proxy", "not 'https://'"),
        ("http://mill:hunter2@proxy:port", "is written"),
        ("http://mill:hunter2@", "is written"),
        ("http://mill:hunter2@proxy/path", "is written"),
    ],
)
def test_what_is_no_proxy_is_said_without_its_password(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Proxies.from_environment({"https_proxy": url})
    assert "HTTPS_PROXY" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_proxys_password_is_not_in_its_representation() -> None:
    assert "hunter2" not in repr(Proxies.always("http://mill:hunter2@proxy:1"))
    assert "aHVudGVyMg" not in repr(Proxies.always("http://hunter2@proxy:1"))


@given(st.text())
def test_any_environment_is_read_or_refused(text: str) -> None:
    for name in ("http_proxy", "NO_PROXY"):
        try:
            proxies = Proxies.from_environment({name: text, "https_proxy": PROXY})
        except ValueError:
            continue
        proxies.leading_to(Address.of("https://api.example.com"))


@pytest.mark.parametrize(
    "test",
    [test_https_goes_through_a_tunnel, test_the_server_never_sees_the_proxys_password],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_uvloop_makes_no_difference(
    test: Callable[[Authority], Coroutine[object, object, None]], authority: Authority
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test(authority))
