"""`headrace up`: a service on a port, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from headrace.config.load import home_dir, load_service
from headrace.models.progress import Progress
from headrace.server.alone import alone
from headrace.server.batches import batch_runner
from headrace.server.boot import Booted, boot
from headrace.server.evals import eval_runner
from headrace.server.follow import Follower
from headrace.server.front import certificate_of, front_of, until
from headrace.server.http1.certificate import Certificate
from headrace.server.listen import address_of, allow_connections, is_loopback, listening
from headrace.server.reload import Reloader
from headrace.server.rollout import Rollout
from headrace.server.signals import Signals
from headrace.server.state import RunningService, announce, withdraw
from headrace.server.tuning import tuning_runner
from headrace.server.upkeep import kept_up, prune, take_over_keys
from headrace.server.wanted import Started, Stopped, Wanted
from headrace.server.workflows import WorkflowProcess

__all__ = ["Started", "Stopped", "run"]

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter while another wants it."""

_log = logging.getLogger(__name__)


def run(
    root: Path,
    environ: Mapping[str, str],
    *,
    host: str | None = None,
    port: int | None = None,
    progress: Progress | None = None,
    ready: Callable[[Started], None] | None = None,
    workers: int = 1,
) -> None:
    """Serve the folder's service until SIGTERM or SIGINT, then drain and return.

    Args:
        host, port: win over `server:` in headrace.yaml.
        ready: called once the service answers.
        workers: processes that answer, behind the one port.

    Raises:
        PortUnusable: the address is taken or not this machine's.
        CertificateUnusable: the files of `server.tls` are wrong, do not match or have expired.
        Stopped: told to stop before it answered.
        HeadraceError: as `boot`.
    """
    import uvloop

    # The writer's thread must not keep the event loop waiting for the interpreter's 5 ms.
    sys.setswitchinterval(SWITCH_S)

    wanted = Wanted(
        root=root,
        environ=environ,
        host=host,
        port=port,
        progress=progress or _silent,
        ready=ready or _silent_ready,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if workers > 1:
            # Only who wants several pays for the import.
            from headrace.server.workers.supervisor import supervise

            runner.run(supervise(wanted, workers))
        else:
            runner.run(_serve(wanted))


async def _serve(wanted: Wanted) -> None:
    began = time.perf_counter()
    config = load_service(wanted.root, wanted.environ).server
    home = home_dir(wanted.root, wanted.environ)
    certificate = certificate_of(wanted.root, config)
    host, port = wanted.host or config.host, wanted.port
    allow_connections(config.max_connections)
    # The port first: finding out that it is taken should not cost a download.
    with listening(host, config.port if port is None else port) as listener, Signals() as signals:
        async with _interruptible(wanted, signals) as booted:
            platform = booted.platform
            server = front_of(platform, config, certificate)
            serving = asyncio.create_task(server.serve(listener))
            url = address_of(listener, scheme="https" if certificate else "http")
            try:
                await until(server.answering, serving)
                started = _started(booted, url, home, time.perf_counter() - began)
                # Whoever finds it from now on finds the first key, too, and that it is known.
                announce(home, _running(url, certificate))
                if certificate is None and not is_loopback(listener):
                    _log.warning("other machines can reach this port without TLS: docs/security.md")
                wanted.ready(started)
                async with _background(booted, certificate):
                    await until(signals.stopping, serving)
                    signals.on_second = server.stop_at_once
                    _log.info("stopping: running answers get up to %g s", config.drain_s)
                    server.stop()
                    await serving
            finally:
                serving.cancel()
                withdraw(home)


def _running(url: str, certificate: Certificate | None) -> RunningService:
    shown = str(certificate.path.absolute()) if certificate else ""
    return RunningService(url=url, pid=os.getpid(), started_at=time.time(), certificate=shown)


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


@contextlib.asynccontextmanager
async def _interruptible(wanted: Wanted, signals: Signals) -> AsyncIterator[Booted]:
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
    reloader = Reloader(platform, booted.loader)
    evals = eval_runner(platform, booted.loader.environ)
    follower = Follower(platform.database, booted.loader.root, platform.home)
    works: dict[str, Callable[[], Awaitable[object]]] = {
        "taking over keys": lambda: take_over_keys(platform),
        "deleting what is old": lambda: prune(platform),
        "asking which models end": lambda: booted.retirements.run(platform),
        "watching the service's files": reloader.run,
        "working on batches": batch_runner(platform).run,
        "working on evals": lambda: alone(platform.database, "evals", evals.run),
        "working on fine-tuning jobs": tuning_runner(platform, booted.loader.environ).run,
        "rolling out": Rollout(platform, booted.loader).run,
        "running workflows": WorkflowProcess(
            platform, booted.loader.root, booted.loader.environ
        ).run,
        "following other gateways": follower.run,
    }
    if certificate is not None:
        works["watching the certificate"] = certificate.watch
    tasks = [asyncio.create_task(kept_up(what, work)) for what, work in works.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _silent(what: str, done: int, total: int | None) -> None:
    del what, done, total


def _silent_ready(started: Started) -> None:
    del started
