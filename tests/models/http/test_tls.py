"""TLS against real servers with certificates that are right, and wrong in each way."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.http import Address, HttpClient, TlsSettings
from headrace.models.http.tls import context_for
from tests.models.http.certificates import Authority
from tests.models.http.scripted import OK, Listening, always, get, listening


def client_of(server: Listening, tls: TlsSettings | None = None, host: str = "") -> HttpClient:
    address = replace(server.address, host=host or server.address.host, tls=True)
    return HttpClient(address, tls=tls)


def trusting(authority: Authority) -> TlsSettings:
    return TlsSettings(ca_file=str(authority.file))


async def refused(
    authority: Authority, server: ssl.SSLContext, *, tls: TlsSettings | None = None
) -> ModelUnavailable:
    """What a request to such a server raises."""
    with handshaking(server) as port:
        address = Address(host="localhost", port=port, tls=True)
        client = HttpClient(address, tls=tls or trusting(authority))
        with pytest.raises(ModelUnavailable) as caught:
            await get(client)
        client.close()
    return caught.value


@contextmanager
def handshaking(context: ssl.SSLContext) -> Iterator[int]:
    """A server that only shakes hands, and says why not: asyncio's hangs up without a word."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                plain.settimeout(10)
                end = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with end, suppress(OSError):
                    with suppress(ssl.SSLError):
                        end.do_handshake()
                    # Closing with bytes unread would reset the connection, and its words with it.
                    while socket.socket.recv(end, 65536):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


async def test_a_server_of_a_trusted_authority_is_reached(authority: Authority) -> None:
    context = authority.sign("localhost", "127.0.0.1").server()
    async with listening(always(OK), tls=context) as server:
        for host in ("localhost", "127.0.0.1"):
            client = client_of(server, trusting(authority), host)
            assert [await get(client) for _ in range(3)] == [(200, b"ok")] * 3
            client.close()
        assert len(server.made) == 2


async def test_the_server_learns_the_name_and_the_protocol(authority: Authority) -> None:
    named: list[str | None] = []
    context = authority.sign("localhost").server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda _, name, __: named.append(name)
    async with listening(always(OK), tls=context) as server:
        client = client_of(server, trusting(authority), "localhost")
        await get(client)
        spoken = server.made[0].get_extra_info("ssl_object").selected_alpn_protocol()
        client.close()
    assert (named, spoken) == (["localhost"], "http/1.1")


async def test_an_expired_certificate_is_said_plainly(authority: Authority) -> None:
    error = await refused(authority, authority.sign("localhost", days=(-3, -1)).server())
    assert isinstance(error, DeploymentMisconfigured)
    assert error.message.startswith("the certificate of localhost:")
    assert error.message.endswith(" has expired")
    assert "renew" in error.hint


async def test_a_certificate_of_the_future_is_said_plainly(authority: Authority) -> None:
    error = await refused(authority, authority.sign("localhost", days=(1, 3)).server())
    assert error.message.endswith("is not valid yet")
    assert "clock" in error.hint


async def test_a_certificate_for_another_host_is_said_plainly(authority: Authority) -> None:
    error = await refused(authority, authority.sign("elsewhere.example").server())
    assert isinstance(error, DeploymentMisconfigured)
    assert error.message.endswith("is for another host name")


async def test_a_self_signed_certificate_is_said_plainly(authority: Authority) -> None:
    context = authority.sign("localhost", self_signed=True).server()
    error = await refused(authority, context, tls=TlsSettings())
    assert isinstance(error, DeploymentMisconfigured)
    assert error.message.endswith("is self-signed and not trusted")
    assert "ca_file" in error.hint
    assert "SSL_CERT_FILE" in error.hint


async def test_an_unknown_authority_is_said_plainly(authority: Authority) -> None:
    error = await refused(authority, authority.sign("localhost").server(), tls=TlsSettings())
    assert isinstance(error, DeploymentMisconfigured)
    assert "authority that is not known here" in error.message


async def test_a_server_without_tls_is_said_plainly(authority: Authority) -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(greets) as server:
        with pytest.raises(DeploymentMisconfigured, match="does not speak TLS") as caught:
            await get(client_of(server))
    assert "http://" in caught.value.hint


async def test_a_server_that_hangs_up_in_the_handshake_is_said_plainly() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with listening(hangs_up) as server:
        with pytest.raises(ModelUnavailable, match="the TLS handshake"):
            await get(client_of(server))


async def test_plain_http_to_a_port_with_tls_is_said_plainly(authority: Authority) -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x15\x03\x01\x00\x02\x02\x46")  # as OpenSSL answers plain text
        await writer.drain()

    async with listening(alert) as server:
        client = HttpClient(server.address)
        with pytest.raises(ModelUnavailable, match="should begin with https://"):
            await get(client)


async def test_old_tls_is_refused(authority: Authority) -> None:
    context = authority.sign("localhost").server()
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    error = await refused(authority, context)
    assert isinstance(error, DeploymentMisconfigured)
    assert "speaks no TLS version that is safe" in error.message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_wanted_is_shown(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.sign("localhost").server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    context.maximum_version = version
    error = await refused(authority, context)
    assert isinstance(error, DeploymentMisconfigured)
    assert "certificate" in error.message + error.hint
    ours = authority.sign("gateway")
    shown = TlsSettings(
        ca_file=str(authority.file),
        certificate_file=str(ours.certificate),
        key_file=str(ours.key),
    )
    async with listening(always(OK), tls=context) as server:
        client = client_of(server, shown, "localhost")
        assert await get(client) == (200, b"ok")
        client.close()


async def test_certificates_go_unchecked_only_where_that_is_said(authority: Authority) -> None:
    context = authority.sign("elsewhere.example", days=(-3, -1), self_signed=True).server()
    async with listening(always(OK), tls=context) as server:
        client = client_of(server, TlsSettings(verify=False))
        assert await get(client) == (200, b"ok")
        client.close()


async def test_a_certificate_may_be_for_a_name_that_is_set(authority: Authority) -> None:
    context = authority.sign("model.internal").server()
    tls = TlsSettings(ca_file=str(authority.file), server_name="model.internal")
    async with listening(always(OK), tls=context) as server:
        client = client_of(server, tls)
        assert await get(client) == (200, b"ok")
        client.close()


async def test_ssl_cert_file_names_whom_to_trust(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with listening(always(OK), tls=authority.sign("localhost").server()) as server:
        client = client_of(server, TlsSettings(), "localhost")
        assert await get(client) == (200, b"ok")
        client.close()


def test_the_system_has_authorities_that_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = context_for(TlsSettings())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_certificate_that_was_renewed_is_read_again(authority: Authority) -> None:
    ours = authority.sign("gateway")
    settings = TlsSettings(certificate_file=str(ours.certificate), key_file=str(ours.key))
    first = context_for(settings)
    assert context_for(settings) is first
    later = ours.certificate.stat().st_mtime + 1
    os.utime(ours.certificate, (later, later))
    assert context_for(settings) is not first


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            lambda root, _: TlsSettings(ca_file=str(root / "no.pem")),
            r"no\.pem .*cannot be read: No",
        ),
        (lambda root, _: TlsSettings(ca_file=str(root / "text")), "holds no certificate"),
        (
            lambda _, authority: TlsSettings(
                certificate_file=str(authority.sign("a").certificate),
                key_file=str(authority.sign("b").key),
            ),
            "do not belong together",
        ),
        (lambda root, _: TlsSettings(certificate_file=str(root / "text")), "cannot be used"),
    ],
    ids=["missing", "not PEM", "mismatch", "no key"],
)
def test_files_that_are_not_what_they_should_be_are_named(
    settings: Callable[[Path, Authority], TlsSettings],
    words: str,
    tmp_path: Path,
    authority: Authority,
) -> None:
    (tmp_path / "text").write_text("nothing of the kind\n")
    with pytest.raises(DeploymentMisconfigured, match=words):
        context_for(settings(tmp_path, authority))


def test_relative_files_start_where_the_service_is() -> None:
    tls = TlsSettings(ca_file="ca.pem", certificate_file="/etc/ours.pem").below(Path("/srv/mill"))
    assert (tls.ca_file, tls.certificate_file, tls.key_file) == (
        "/srv/mill/ca.pem",
        "/etc/ours.pem",
        None,
    )


@pytest.mark.parametrize(
    "test",
    [
        test_a_server_of_a_trusted_authority_is_reached,
        test_an_expired_certificate_is_said_plainly,
        test_a_certificate_for_another_host_is_said_plainly,
        test_old_tls_is_refused,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_uvloop_makes_no_difference(
    test: Callable[[Authority], Coroutine[object, object, None]], authority: Authority
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test(authority))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_uvloop_shows_client_certificates_too(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_a_client_certificate_that_is_wanted_is_shown(authority, version))
