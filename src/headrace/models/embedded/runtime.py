"""Who runs the weights: this process itself, or one that several processes share.

`OwnRuntime` is the usual one. A process that is one of several workers says `use_runtimes` before
its service is loaded; then every embedded deployment asks the one it names (server/workers).
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol, TypeAlias

from headrace.models.adapted import AdapterSource
from headrace.models.embedded.cpu import usable_cpus
from headrace.models.embedded.fit import check_fit, check_weights
from headrace.models.embedded.settings import RuntimeSettings
from headrace.models.embedded.supervisor import Supervisor
from headrace.models.embedded.worker import WorkerSettings
from headrace.models.fetch.background import fetch_in_background
from headrace.models.progress import Progress
from headrace.models.store import Kept, ModelStore

__all__ = ["OwnRuntime", "Runtime", "Runtimes", "runtime_for", "use_runtimes"]


class Runtime(Protocol):
    """llama.cpp's server with one GGUF file, and adapters to it, on a Unix socket."""

    @property
    def socket(self) -> str:
        """Where it listens, once started."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, once started."""
        ...

    @property
    def pid(self) -> int | None: ...

    async def start(self, progress: Progress | None = None) -> None:
        """Fetch the weights if they are not here yet, load them, and answer.

        Raises:
            WeightsUnavailable: they cannot be fetched or are not the expected ones.
            ModelUnavailable: the process does not come up.
        """
        ...

    def is_ready(self) -> bool: ...

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether it answers within `timeout_s`; False at once while its starts fail."""
        ...

    def alone(self) -> AbstractAsyncContextManager[None]:
        """While it is held, no other process that uses this runtime holds it."""
        ...

    async def stop(self) -> None:
        """It is not needed any more."""
        ...


class OwnRuntime:
    """A process that this one starts, and starts again when it dies."""

    def __init__(
        self,
        settings: RuntimeSettings,
        store: ModelStore,
        *,
        callers: int = 1,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        """
        Args:
            callers: processes that ask it, each as much as one would.
            changed: called whenever `is_ready`, `is_awaited` or `pid` may say something else.
        """
        self.digest = (settings.sha256 or "").lower()
        self._settings = settings
        self._store = store
        self._callers = callers
        self._changed = changed
        self._supervisor: Supervisor | None = None

    @property
    def socket(self) -> str:
        return self._supervisor.socket if self._supervisor is not None else ""

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid if self._supervisor is not None else None

    async def start(self, progress: Progress | None = None) -> None:
        """See `Runtime`."""
        settings = self._settings
        kept = await fetch_in_background(self._store, settings.weights, settings.sha256, progress)
        await asyncio.to_thread(check_weights, settings.weights, kept.path)
        self.digest = kept.sha256
        adapters = [await self._adapter(each, kept, progress) for each in settings.adapters]
        supervisor = Supervisor(
            WorkerSettings(
                weights=str(kept.path),
                socket="",
                context_tokens=settings.context_tokens,
                parallel=settings.parallel,
                threads=settings.threads or usable_cpus(),
                gpu_layers=settings.gpu_layers,
                requests=self._callers * settings.asked,
                # llama.cpp keeps prompts without regard to the adapter that read them, and would
                # answer one adapter's request from another's: docs/decisions/0084-adapters.md.
                prompt_cache_mb=0 if adapters else settings.prompt_cache_mb,
                adapters=adapters,
            ),
            changed=self._changed,
        )
        await supervisor.start()
        self._supervisor = supervisor

    async def _adapter(self, source: AdapterSource, base: Kept, progress: Progress | None) -> str:
        """An adapter's file, once it is known to fit."""
        kept = await fetch_in_background(self._store, source.reference, source.sha256, progress)
        await asyncio.to_thread(check_fit, source, kept.path, base)
        return str(kept.path)

    def is_ready(self) -> bool:
        return self._supervisor is not None and self._supervisor.is_ready()

    @property
    def is_awaited(self) -> bool:
        """Whether it does not answer, but is about to."""
        return self._supervisor is not None and self._supervisor.is_awaited

    async def wait_ready(self, timeout_s: float) -> bool:
        """See `Runtime`."""
        return self._supervisor is not None and await self._supervisor.wait_ready(timeout_s)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """See `Runtime`. Nobody else uses it."""
        return nullcontext()

    async def stop(self) -> None:
        """End the process; running generations end with it."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.stop()


Runtimes: TypeAlias = Callable[[RuntimeSettings, ModelStore], Runtime]

_runtimes: Runtimes = OwnRuntime


def use_runtimes(runtimes: Runtimes) -> None:
    """Whose weights this process uses from now on. Said once, where a worker process begins."""
    global _runtimes  # noqa: PLW0603 - a fact about the process, as its standard streams are
    _runtimes = runtimes


def runtime_for(settings: RuntimeSettings, store: ModelStore) -> Runtime:
    """A runtime for these settings, not started yet."""
    return _runtimes(settings, store)
