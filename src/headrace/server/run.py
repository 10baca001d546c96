"""`headrace up`: a service on a port, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.applications import Starlette

from headrace.config.load import home_dir, load_service
from headrace.config.model import ServerConfig
from headrace.console.app import console_routes
from headrace.errors import HeadraceError
from headrace.gateway.app import Gateway
from headrace.gateway.relay import Relay
from headrace.models.progress import Progress
from headrace.server.boot import Booted, boot
from headrace.server.http1.asgi import AsgiPages
from headrace.server.http1.certificate import Certificate
from headrace.server.http1.limits import Limits
from headrace.server.http1.server import HttpServer
from headrace.server.listen import address_of, allow_connections, is_loopback, listening
from headrace.server.reload import Reloader
from headrace.server.state import RunningService, announce, withdraw
from headrace.server.upkeep import prune, take_over_keys

__all__ = ["Started", "Stopped", "run"]

_log = logging.getLogger(__name__)


class Stopped(HeadraceError):
    """The service was told to stop before it answered."""

    code = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a service that answers now can tell about itself."""

    url: str
    home: Path
    name: str
    builtin: bool
    """True when there is no headrace.yaml."""
    admin_secret: str | None
    """The first start's admin key, to be shown once."""
    release: str
    interrupted: int
    """Turns that an earlier process left unfinished."""
    ready_s: float
    """Seconds it took until it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What `run` was asked for."""

    root: Path
    environ: Mapping[str, str]
    host: str | None
    port: int | None
    progress: Progress
    ready: Callable[[Started], None]


def run(
    root: Path,
    environ: Mapping[str, str],
    *,
    host: str | None = None,
    port: int | None = None,
    progress: Progress | None = None,
    ready: Callable[[Started], None] | None = None,
) -> None:
    """Serve the folder's service until SIGTERM or SIGINT, then drain and return.

    Args:
        host, port: win over `server:` in headrace.yaml.
        ready: called once the service answers.

    Raises:
        PortUnusable: the address is taken or not this machine's.
        CertificateUnusable: the files of `server.tls` are wrong, do not match or have expired.
        Stopped: told to stop before it answered.
        HeadraceError: as `boot`.
    """
    import uvloop

    wanted = _Wanted(
        root=root,
        environ=environ,
        host=host,
        port=port,
        progress=progress or _silent,
        ready=ready or _silent_ready,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(wanted))


async def _serve(wanted: _Wanted) -> None:
    began = time.perf_counter()
    config = load_service(wanted.root, wanted.environ).server
    home = home_dir(wanted.root, wanted.environ)
    certificate = _certificate(wanted.root, config)
    host, port = wanted.host or config.host, wanted.port
    allow_connections(config.max_connections)
    # The port first: finding out that it is taken should not cost a download.
    with listening(host, config.port if port is None else port) as listener, _Signals() as signals:
        async with _interruptible(wanted, signals) as booted:
            platform = booted.platform
            pages = AsgiPages(Starlette(routes=console_routes(platform)))
            relay = Relay(platform)
            server = HttpServer(
                Gateway(platform, pages),
                _limits(config),
                drain_s=config.drain_s,
                tls=certificate.context if certificate else None,
                relay=relay,
                relay_wants_body=relay.wants_body,
            )
            serving = asyncio.create_task(server.serve(listener))
            url = address_of(listener, scheme="https" if certificate else "http")
            announce(home, _running(url, certificate))
            try:
                await _until(server.answering, serving)
                if certificate is None and not is_loopback(listener):
                    _log.warning("other machines can reach this port without TLS: docs/security.md")
                wanted.ready(_started(booted, url, home, time.perf_counter() - began))
                async with _background(booted, certificate):
                    await _until(signals.stopping, serving)
                    signals.on_second = server.stop_at_once
                    _log.info("stopping: running answers get up to %g s", config.drain_s)
                    server.stop()
                    await serving
            finally:
                serving.cancel()
                withdraw(home)


def _certificate(root: Path, config: ServerConfig) -> Certificate | None:
    """What `server.tls` names. Raises CertificateUnusable."""
    if config.tls is None:
        return None
    return Certificate(root / config.tls.certificate, root / config.tls.key)


def _running(url: str, certificate: Certificate | None) -> RunningService:
    shown = str(certificate.path.absolute()) if certificate else ""
    return RunningService(url=url, pid=os.getpid(), started_at=time.time(), certificate=shown)


def _limits(config: ServerConfig) -> Limits:
    return Limits(
        uri_bytes=config.max_uri_bytes,
        header_bytes=config.max_header_bytes,
        connections=config.max_connections,
        header_timeout_s=config.header_timeout_s,
        body_timeout_s=config.body_timeout_s,
        idle_timeout_s=config.idle_timeout_s,
        write_timeout_s=config.write_timeout_s,
    )


def _started(booted: Booted, url: str, home: Path, ready_s: float) -> Started:
    service = booted.platform.service
    return Started(
        url=url,
        home=home,
        name=service.config.name,
        builtin=service.config.builtin,
        # Made last: a key that was made by a start that failed would never have been shown.
        admin_secret=booted.platform.keys.ensure_admin(home),
        release=service.release,
        interrupted=booted.interrupted,
        ready_s=ready_s,
    )


class _Signals:
    """SIGTERM and SIGINT ask to stop; a second one asks to stop at once."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.on_second: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        if self.stopping.is_set():
            self.on_second()
        self.stopping.set()


@contextlib.asynccontextmanager
async def _interruptible(wanted: _Wanted, signals: _Signals) -> AsyncIterator[Booted]:
    """`boot`, given up when a signal comes before it is through: a download may take minutes."""

    def report(what: str, done: int, total: int | None) -> None:
        # Called from the thread that fetches, which nothing else could stop.
        if signals.stopping.is_set():
            raise Stopped("stopped while fetching", hint="what has arrived is kept")
        wanted.progress(what, done, total)

    async with contextlib.AsyncExitStack() as stack:
        booting = asyncio.create_task(
            stack.enter_async_context(boot(wanted.root, wanted.environ, progress=report))
        )
        stopping = asyncio.create_task(signals.stopping.wait())
        await asyncio.wait({booting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not booting.done():
            booting.cancel()
        try:
            booted = await booting
        except asyncio.CancelledError:
            raise Stopped("stopped before the service answered") from None
        yield booted


@contextlib.asynccontextmanager
async def _background(booted: Booted, certificate: Certificate | None) -> AsyncIterator[None]:
    """What the service does by itself while it runs."""
    platform = booted.platform
    tasks = [
        asyncio.create_task(take_over_keys(platform)),
        asyncio.create_task(prune(platform)),
        asyncio.create_task(booted.retirements.run(platform)),
        asyncio.create_task(Reloader(platform, booted.loader).run()),
    ]
    if certificate is not None:
        tasks.append(asyncio.create_task(certificate.watch()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(event: asyncio.Event, serving: asyncio.Task[None]) -> None:
    """Wait for the event; a server that ends before it raises what ended it."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    finally:
        waiting.cancel()


def _silent(what: str, done: int, total: int | None) -> None:
    del what, done, total


def _silent_ready(started: Started) -> None:
    del started
