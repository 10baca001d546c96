"""Swapping the service when its files change: the whole new one, or the old one and why.

Files are looked at twice a second (size and time of change), because notifications do not come
through network and container file systems.
"""

import asyncio
import logging
from pathlib import Path

from headrace.access.limits.config import read_limits
from headrace.config.watch import Fingerprint, ServiceFiles
from headrace.errors import HeadraceError
from headrace.models.cache.settings import read_cache
from headrace.pipeline.service import Platform, Service
from headrace.releases.channel import SERVING_FILE, served_root
from headrace.server.knowledge import retire, watched_files
from headrace.server.load import ServiceLoader

__all__ = ["LOOK_EVERY_S", "Reloader", "say_unusable", "take_over"]

LOOK_EVERY_S = 0.5

_log = logging.getLogger(__name__)


class Reloader:
    """Watches a service's files and swaps `platform.service`."""

    def __init__(self, platform: Platform, loader: ServiceLoader) -> None:
        self._platform = platform
        self._loader = loader
        self._files = ServiceFiles(loader.root, watched_files(loader.home))
        self._used = self._seen = self._files.fingerprint()

    async def run(self) -> None:
        """Look and swap until cancelled."""
        async with asyncio.TaskGroup() as retiring:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                old = await self.look()
                if old is not None:
                    # Turns that began with the old service end with it; its models go once they
                    # have. Not waited for, as that may take a minute and the next edit must not.
                    retiring.create_task(retire(self._platform.service, old))

    async def look(self) -> Service | None:
        """Swap if the files have changed and have settled; gives the service that was replaced.

        Editors write in several moves: a change counts once two looks in a row agree. A release
        that was deployed or rolled back to is whole already.
        """
        seen, self._seen = self._seen, await asyncio.to_thread(self._files.fingerprint)
        if self._seen == self._used:
            return None
        if seen != self._seen and not _is_move(self._used, self._seen):
            return None
        self._used = self._seen
        old = self._platform.service
        candidate = self._platform.candidate
        if candidate is not None and candidate.folder == served_root(
            self._loader.root, self._loader.home
        ):
            # What was on trial is promoted: it runs already.
            self._platform.candidate = None
            take_over(self._platform, candidate.service)
            return old
        try:
            new = await self._loader.load(reuse=old.models)
        except HeadraceError as error:
            say_unusable(error.message, error.hint)
            return None
        except Exception:  # noqa: BLE001 - a plug-in's defect must not end the watching
            _log.exception("the changed files cannot be used, so the service goes on as before")
            return None
        take_over(self._platform, new)
        return old


def _is_move(before: Fingerprint, now: Fingerprint) -> bool:
    """Whether all that changed is which release is served."""
    changed = {path for path, _ in {*before} ^ {*now}}
    return bool(changed) and all(Path(each).name == SERVING_FILE for each in changed)


def take_over(platform: Platform, new: Service) -> None:
    """Use the new service from now on."""
    old = platform.service
    new.models.succeed(old.models)
    platform.service = new
    platform.limiter.change(read_limits(new.config.limits))
    platform.cache.change(read_cache(new.config.cache))
    platform.recorder.content = new.config.traces.content
    _log.info("the changed files are in use now: release %s", new.release)
    _say_what_waits(old, new)


def say_unusable(message: str, hint: str) -> None:
    """Tell the log why the service goes on as it is."""
    _log.error(
        "the changed files cannot be used, so the service goes on as before: %s%s",
        message,
        f" ({hint})" if hint else "",
    )


def _say_what_waits(old: Service, new: Service) -> None:
    """Some settings belong to the process, and only a new one can take them over."""
    before, after = old.config, new.config
    waiting = [
        f"server.{name}"
        for name in before.server.__struct_fields__
        if name != "max_body_bytes" and getattr(before.server, name) != getattr(after.server, name)
    ]
    if read_limits(before.limits).redis != read_limits(after.limits).redis:
        waiting.append("limits.redis")
    if read_cache(before.cache).redis != read_cache(after.cache).redis:
        waiting.append("cache.redis")
    waiting += [
        f"traces.{name}"
        for name in ("otlp_endpoint", "otlp_headers", "otlp_content")
        if getattr(before.traces, name) != getattr(after.traces, name)
    ]
    if waiting:
        _log.warning("%s: in use after the next start", ", ".join(waiting))
