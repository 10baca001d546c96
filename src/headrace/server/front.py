"""What stands between a platform and its port: the API, the pages, the direct way, TLS."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette

from headrace.config.model import ServerConfig
from headrace.console.app import console_routes
from headrace.gateway.app import Gateway
from headrace.gateway.relay.relay import Relay
from headrace.pipeline.service import Platform
from headrace.server.http1.asgi import AsgiPages
from headrace.server.http1.certificate import Certificate
from headrace.server.http1.limits import Limits
from headrace.server.http1.server import Handler, HttpServer

__all__ = ["certificate_of", "front_of", "limits_of", "until"]


def front_of(
    platform: Platform,
    config: ServerConfig,
    certificate: Certificate | None,
    *,
    around: Callable[[Handler], Handler] = lambda handler: handler,
) -> HttpServer:
    """The server of a platform, ready to serve a listening socket.

    Args:
        around: what else stands between the server and the API.
    """
    pages = AsgiPages(Starlette(routes=console_routes(platform)))
    relay = Relay(platform)
    return HttpServer(
        around(Gateway(platform, pages)),
        limits_of(config),
        drain_s=config.drain_s,
        tls=certificate.context if certificate else None,
        relay=relay,
        relay_wants_body=relay.wants_body,
    )


def certificate_of(root: Path, config: ServerConfig) -> Certificate | None:
    """What `server.tls` names. Raises CertificateUnusable."""
    if config.tls is None:
        return None
    return Certificate(root / config.tls.certificate, root / config.tls.key)


def limits_of(config: ServerConfig) -> Limits:
    """What a client may send, and in which time."""
    return Limits(
        uri_bytes=config.max_uri_bytes,
        header_bytes=config.max_header_bytes,
        connections=config.max_connections,
        header_timeout_s=config.header_timeout_s,
        body_timeout_s=config.body_timeout_s,
        idle_timeout_s=config.idle_timeout_s,
        write_timeout_s=config.write_timeout_s,
    )


async def until(event: asyncio.Event, *serving: "asyncio.Task[None]") -> None:
    """Wait for the event; a server that ends before it raises what ended it."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, *serving}, return_when=asyncio.FIRST_COMPLETED)
        for task in serving:
            if task.done():
                task.result()
    finally:
        waiting.cancel()
