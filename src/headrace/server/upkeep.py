"""What a running service does by itself: take over keys, delete what is too old."""

import asyncio
import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from headrace.pipeline.service import Platform

__all__ = ["prune", "take_over_keys"]

KEYS_EVERY_S = 1.0
PRUNE_EVERY_S = 3600.0
DAY_S = 86_400

_log = logging.getLogger(__name__)


async def take_over_keys(platform: Platform) -> None:
    """Notice keys made or revoked by the command line, within about a second; until cancelled."""
    failing = False
    while True:
        try:
            await asyncio.to_thread(platform.keys.refresh)
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
            await asyncio.to_thread(_prune_once, platform)
        except SQLAlchemyError as error:
            _log.error("deleting what is old broke off, another try in an hour: %s", error)
        await asyncio.sleep(PRUNE_EVERY_S)


def _prune_once(platform: Platform) -> None:
    config = platform.service.config
    now = time.time()
    gone = platform.traces.prune(
        retention_days=config.traces.retention_days, max_mb=config.traces.max_mb, now=now
    )
    if gone.by_age or gone.by_size:
        _log.info("deleted %d old traces and %d beyond traces.max_mb", gone.by_age, gone.by_size)
    days = config.conversations.retention_days
    if days is not None and (count := platform.conversations.prune(before=now - days * DAY_S)):
        _log.info("deleted %d conversations unused for %g days", count, days)
