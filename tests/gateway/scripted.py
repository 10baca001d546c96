"""A backend that answers as the request's last message says: its text is the deltas, as JSON.

Installed into a service as a user's own package would be (conftest.py). What is no script is
answered with the call itself as JSON, so that a test can see what reached the model.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.backend import Call, Embeddings, ListedModel
from headrace.models.errors import DeploymentThrottled
from headrace.types import Delta, Deltas, Message, TextKind, Usage

__all__ = ["FAILURES", "ScriptedBackend", "script"]

FAILURES = {
    "unavailable": ModelUnavailable("the model broke off"),
    "throttled": DeploymentThrottled("the provider takes no more", retry_after_s=3),
}


class Line(Delta):
    """A delta, or a failure by its name, or a delta that comes over and over."""

    fail: str = ""
    endless: bool = False


class ScriptedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It has none."""


def script(*lines: Delta | dict[str, object]) -> str:
    """The text of a message that is answered with these."""
    return msgspec.json.encode(lines).decode()


class ScriptedBackend:
    """See the module."""

    Settings = ScriptedSettings
    provider = "scripted"
    context_tokens = 1_000_000
    digest = "scripted"
    rate_limits = None
    rtt_s = None
    capacity: int | None = None

    def __init__(self, settings: ScriptedSettings, *, name: str, root: Path, home: Path) -> None:
        del settings, name, root, home

    async def start(self, progress: Callable[[str, int, int | None], None] | None = None) -> None:
        del progress

    async def stop(self) -> None:
        pass

    def is_ready(self) -> bool:
        return True

    async def wait_ready(self, timeout_s: float) -> bool:
        del timeout_s
        return False

    async def generate(self, call: Call) -> Deltas:
        for line in _lines(call):
            if line.fail:
                raise FAILURES[line.fail]
            yield line
            while line.endless:
                await asyncio.sleep(0.005)
                yield line
        yield Delta(usage=Usage(20, 7, cached_tokens=4, cache_write_tokens=6, reasoning_tokens=2))

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        return Embeddings([[0.0] for _ in inputs], Usage())

    async def listed(self) -> Sequence[ListedModel]:
        return []

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.text().split()) for message in messages)

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        return sum(len(message.text()) + 8 for message in messages)


def _lines(call: Call) -> list[Line]:
    asked = next((each for each in reversed(call.messages) if each.role == "user"), None)
    try:
        return msgspec.json.decode(asked.text() if asked else "", type=list[Line])
    except msgspec.MsgspecError:
        return [Line(text=msgspec.json.encode(call).decode()), Line(finish_reason="stop")]
