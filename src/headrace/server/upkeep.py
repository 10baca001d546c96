"""What a running service does by itself: take over keys, delete what is too old."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from headrace.access.limits.store import prune_counters
from headrace.config.model import ModelConfig
from headrace.errors import HeadraceError
from headrace.pipeline.service import Platform, Service

if TYPE_CHECKING:
    from headrace.models.catalogue.retirement import RetirementWatch

__all__ = ["Retirements", "kept_up", "prune", "take_over_keys"]

KEYS_EVERY_S = 1.0
PRUNE_EVERY_S = 3600.0
DAY_S = 86_400
LOOK_EVERY_S = 86_400.0
"""How often providers are asked which of their models end."""
PAUSE_S = 5.0
PAUSE_MAX_S = 300.0

_log = logging.getLogger(__name__)


async def kept_up(
    what: str, work: Callable[[], Awaitable[object]], *, pause_s: float = PAUSE_S
) -> None:
    """Do endless `work` until cancelled: begun again, after a pause, when it fails.

    Args:
        what: for the log, such as `watching the files`.
        pause_s: the first one; each further one is twice as long.
    """
    while True:
        try:
            await work()
        except DBAPIError as error:
            _log.error("%s waits %g s for the database: %s", what, PAUSE_S, error.orig)
            await asyncio.sleep(PAUSE_S)
            continue
        except Exception:  # noqa: BLE001 - nobody awaits it: it would be gone without a word
            _log.exception("%s failed; it begins again in %g s", what, pause_s)
        else:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(2.0 * pause_s, PAUSE_MAX_S)


async def take_over_keys(platform: Platform) -> None:
    """Notice keys made or revoked, and people erased, by the command line; until cancelled."""
    failing = False
    while True:
        try:
            await asyncio.to_thread(platform.keys.refresh)
            await asyncio.to_thread(platform.files.vault.drop_destroyed)
            failing = False
        except SQLAlchemyError as error:
            # The keys known so far stay valid: a sick database must not lock everybody out.
            if not failing:
                _log.error("the keys cannot be read, so the known ones stay: %s", error)
            failing = True
        await asyncio.sleep(KEYS_EVERY_S)


async def prune(platform: Platform) -> None:
    """Delete traces and conversations past their retention, hourly; until cancelled."""
    while True:
        try:
            platform.limiter.tidy(time.time())
            await asyncio.to_thread(_prune_once, platform)
        except SQLAlchemyError as error:
            _log.error("deleting what is old broke off, another try in an hour: %s", error)
        await asyncio.sleep(PRUNE_EVERY_S)


def _prune_once(platform: Platform) -> None:
    config = platform.service.config
    now = time.time()
    prune_counters(platform.database, now=now)
    gone = platform.traces.prune(
        retention_days=config.traces.retention_days, max_mb=config.traces.max_mb, now=now
    )
    if gone.by_age or gone.by_size:
        _log.info("deleted %d old traces and %d beyond traces.max_mb", gone.by_age, gone.by_size)
    days = config.conversations.retention_days
    if days is not None and (count := platform.conversations.prune(before=now - days * DAY_S)):
        _log.info("deleted %d conversations unused for %g days", count, days)


class Retirements:
    """Asks once a day which models in use will be shut down, and says so in time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._watch: RetirementWatch | None = None
        self._seen: Service | None = None

    def days(self) -> Mapping[tuple[str, str], int]:
        """Days left by (model, deployment), as far as anybody has said."""
        return {} if self._watch is None else self._watch.days()

    async def run(self, platform: Platform) -> None:
        """Look until cancelled: at the start, daily, and when other models are in use."""
        next_look = 0.0
        while True:
            service = platform.service
            if service is not self._seen or time.monotonic() >= next_look:
                self._seen, next_look = service, time.monotonic() + LOOK_EVERY_S
                await self._look(service)
            await asyncio.sleep(60.0)

    async def _look(self, service: Service) -> None:
        models = service.models.models()
        remote = {name for name, config in service.config.models.items() if _is_remote(config)}
        if not remote:
            self._watch = None
            return
        from headrace.models.catalogue.load import load_catalogue
        from headrace.models.catalogue.retirement import RetirementWatch
        from headrace.models.catalogue.served import served_models

        try:
            catalogue = await asyncio.to_thread(load_catalogue, service.config.root, self._environ)
        except HeadraceError as error:
            _log.error("retirements are not looked after: %s", error.message)
            return
        watch = RetirementWatch(catalogue, lambda: datetime.now(UTC).date())
        declared = {name: service.config.models[name] for name in remote}
        backends = {each.key: each.backend for model in models for each in model.deployments}
        await watch.look(served_models(declared, catalogue), backends)
        self._watch = watch


def _is_remote(config: ModelConfig) -> bool:
    return any(each.backend != "embedded" for each in config.deployments)
