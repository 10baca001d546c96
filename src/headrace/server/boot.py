"""What lives as long as the process: state, keys, traces, and the service on top of them."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from headrace import __version__
from headrace.access.audit import AuditLog
from headrace.access.keys import KeyStore
from headrace.access.limits.config import read_limits
from headrace.access.limits.metrics import LimitCollector
from headrace.config.load import home_dir, load_service
from headrace.config.model import ServiceConfig
from headrace.datasets.upload import FileStore
from headrace.models.cache.build import build_cache
from headrace.models.cache.metrics import CacheCollector
from headrace.models.cache.settings import read_cache
from headrace.models.progress import Progress
from headrace.pipeline.pipeline import Unlock
from headrace.pipeline.service import Platform
from headrace.privacy.vault import Vault
from headrace.prompts.store import PromptStore
from headrace.screening.review import ReviewStore
from headrace.server.gauges import DeploymentCollector
from headrace.server.load import ServiceLoader
from headrace.server.records import open_writer
from headrace.server.seat import Seat
from headrace.server.state import database_of, gateway_of
from headrace.server.upkeep import Retirements
from headrace.storage.database import Database
from headrace.telemetry.feedback import FeedbackStore
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TRACE_END, TraceRecorder
from headrace.telemetry.store import TraceStore

if TYPE_CHECKING:
    from headrace.telemetry.exporter import TraceExporter

__all__ = ["Booted", "boot", "open_platform"]

GC_THRESHOLDS = (10_000, 20, 20)
"""Python's own (700, 10, 10) made collections 4 us of what a turn cost under load."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A platform with what only the server needs of it."""

    platform: Platform
    loader: ServiceLoader
    retirements: Retirements
    interrupted: int
    """Turns that an earlier process had begun and not ended."""


@asynccontextmanager
async def open_platform(
    root: Path,
    environ: Mapping[str, str],
    *,
    progress: Progress | None = None,
    trial: bool = False,
) -> AsyncIterator[Platform]:
    """A service that answers in this process, without a port; `headrace chat` uses it.

    Args:
        trial: the state is a file of the home, which is thrown away, whatever `database:` says.

    Raises:
        HomeInUse: a service runs on this home already.
        HeadraceError: as `boot`.
    """
    async with boot(root, environ, progress=progress, trial=trial) as booted:
        yield booted.platform


@asynccontextmanager
async def boot(
    root: Path,
    environ: Mapping[str, str],
    *,
    progress: Progress | None = None,
    seat: Seat | None = None,
    trial: bool = False,
) -> AsyncIterator[Booted]:
    """Open the state of the folder's home, then load its service. All is closed at the end.

    Args:
        seat: absent: this process is the whole service.
        trial: as for `open_platform`.

    Raises:
        ConfigError: a file is wrong.
        HomeInUse: a service runs on this home already.
        StateUnusable: the state cannot be opened.
        WeightsUnavailable, ModelUnavailable: a model cannot be fetched or started.
    """
    seat = seat or Seat()
    config = load_service(root, environ)
    home = home_dir(root, environ)
    async with AsyncExitStack() as stack:
        database = Database.open(database_of(None if trial else config.database, home))
        stack.callback(database.close)
        if database.is_postgres:
            seat.gateway = gateway_of(home)
        vault = Vault.open(database, home, environ=environ)
        metrics = Metrics(__version__)
        exporter = _exporter(config, vault)
        if exporter is not None:
            exporter.start()
            metrics.watch_exporter(exporter)
            # Closed after the writer, whose last records it is still to send.
            stack.push_async_callback(asyncio.to_thread, exporter.close)
        writer = open_writer(
            database,
            home / seat.journal,
            committed={TRACE_END: exporter.committed} if exporter is not None else None,
        )
        # Emptying the journal may take seconds; the event loop still has answers to end then.
        stack.push_async_callback(asyncio.to_thread, writer.close)
        seat.take_in(home, database)
        writer.start()
        metrics.watch_writer(writer)
        recorder = TraceRecorder(writer, vault, metrics, content=config.traces.content)
        traces = TraceStore(database, vault)
        interrupted = seat.interrupted(traces, recorder)
        audit = AuditLog(database, lambda: vault.audit_secret)
        keys = KeyStore.open(database, audit)
        conversations = seat.conversations(database, writer, vault)
        limits = read_limits(config.limits)
        limiter = seat.limiter(limits, home, database, writer, now=time.time())
        await limiter.start()
        stack.push_async_callback(limiter.close)
        metrics.registry.register(LimitCollector(limiter))
        cache = build_cache(read_cache(config.cache), home=home, secret=vault.cache_secret)
        await cache.start()
        stack.push_async_callback(cache.close)
        metrics.registry.register(CacheCollector(cache))
        prompts = PromptStore(database, audit=audit)
        loader = ServiceLoader(
            root,
            home,
            environ,
            conversations=conversations,
            recorder=recorder,
            unlock=_unlocking(vault),
            limiter=limiter,
            cache=cache,
            prompts=prompts,
            database=config.database,
        )
        platform = seat.platform(
            home=home,
            database=database,
            service=await loader.load(progress=progress),
            keys=keys,
            traces=traces,
            feedback=FeedbackStore(database, writer, vault),
            files=FileStore(database, vault, home),
            conversations=conversations,
            limiter=limiter,
            cache=cache,
            audit=audit,
            reviews=ReviewStore(database, vault),
            prompts=prompts,
            metrics=metrics,
            recorder=recorder,
            writer=writer,
        )
        retirements = Retirements(environ)
        metrics.registry.register(
            DeploymentCollector(lambda: platform.service.models, retirements.days)
        )
        # What lives for good need not be looked through at each collection, and the few hundred
        # objects of each turn on its way are no reason for one.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        try:
            yield Booted(
                platform=platform,
                loader=loader,
                retirements=retirements,
                interrupted=interrupted,
            )
        finally:
            await platform.service.models.stop()
            if platform.service.tools is not None:
                await platform.service.tools.close()
            if platform.service.knowledge is not None:
                platform.service.knowledge.close()


def _unlocking(vault: Vault) -> Unlock:
    """Unlocks subjects; a database that is away costs a new subject's texts, not the answer."""

    async def unlock(subject: str) -> None:
        try:
            await vault.unlock(subject)
        except SQLAlchemyError as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            _log.warning("a turn's texts are not kept, as its subject's key is not: %s", reason)

    return unlock


def _exporter(config: ServiceConfig, vault: Vault) -> "TraceExporter | None":
    """The way to the collector, if `traces.otlp_endpoint` names one."""
    settings = config.traces
    if settings.otlp_endpoint is None:
        return None
    # An HTTP client's import, so only for those who export.
    from headrace.ids import new_id
    from headrace.telemetry.exporter import TraceExporter
    from headrace.telemetry.otlp import Resource

    return TraceExporter(
        settings.otlp_endpoint,
        settings.otlp_headers,
        Resource(name=config.name, version=__version__, instance=new_id()),
        vault if settings.otlp_content else None,
    )
