"""The workers' own sockets: how one worker asks another."""

import asyncio
import logging
import time
from pathlib import Path

from headrace.errors import ModelUnavailable
from headrace.models.http import Address, HttpClient
from headrace.models.http.settings import PoolSettings
from headrace.server.workers.conversation import Share

__all__ = ["FLUSH_PATH", "LOOK_EVERY_S", "SAMPLES_PATH", "Peers", "never_taken"]

SAMPLES_PATH = "/-/samples"
FLUSH_PATH = "/-/flush"
ASK_S = 2.0
"""How long another worker may take for its figures, or to write what it has recorded."""
LOOK_EVERY_S = 0.02
KEPT_S = 4.0
"""How long a connection is kept: less than `server.idle_timeout_s` may be."""

_log = logging.getLogger(__name__)


class Peers:
    """The workers of a service, this one among them."""

    def __init__(self, folder: Path, slot: int, workers: int) -> None:
        self.folder = folder
        self.share = Share(slot, workers)
        self.slot = slot
        self._clients: dict[int, HttpClient] = {}

    def socket(self, slot: int) -> Path:
        """Where the worker of that slot listens."""
        return self.folder / f"{slot}.sock"

    def others(self) -> list[int]:
        return [each for each in range(self.share.workers) if each != self.slot]

    def client(self, slot: int) -> HttpClient:
        client = self._clients.get(slot)
        if client is None:
            address = Address(socket=str(self.socket(slot)))
            client = self._clients[slot] = HttpClient(
                address, connect_timeout_s=ASK_S, pool=PoolSettings(idle_s=KEPT_S)
            )
        return client

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    async def ask(self, slot: int, path: str, *, timeout_s: float = ASK_S) -> bytes | None:
        """What another worker says; None when it does not run, or not in time."""
        try:
            async with asyncio.timeout(timeout_s), self.client(slot).request("GET", path) as reply:
                data = await reply.read()
                return data if reply.status == 200 else None
        except (TimeoutError, ModelUnavailable) as error:
            _log.debug("worker %d does not answer: %s", slot, error)
            return None

    async def flush_others(self) -> None:
        """Wait until what other workers have recorded so far can be read."""
        await asyncio.gather(*(self.ask(slot, FLUSH_PATH) for slot in self.others()))

    async def wait_for(self, slot: int, within_s: float) -> bool:
        """Wait until a worker that is being started again listens."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if self.socket(slot).exists():
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        return False


def never_taken(error: ModelUnavailable) -> bool:
    """Whether nobody got the request, so that it may be sent again."""
    return isinstance(error.__cause__, OSError)
