"""Steady load: so many requests a second, whatever becomes of those before, and what became of each.

Half are streamed, if nothing else is said; half of each go the ordinary way of a turn rather than the direct one, which
`cache-control` asks for. Connections are kept, as a client's would be.
"""

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Self, TypeAlias

import httpx
import msgspec

__all__ = ["Kind", "Load", "Said", "counted"]

Kind: TypeAlias = Literal["ok", "refused", "broken", "unanswered", "wrong", "left"]
"""Whole and right; an error status; a stream that had begun and ended in an error or cut off; no
answer to the request, or less than its headers promised; somebody else's answer; given up by the
client."""

PATIENCE_S = 40.0


@dataclass(slots=True)
class Said:
    """What became of one request."""

    question: str
    stream: bool
    started_at: float
    """Monotonic seconds, on the clock of the upstreams' logs."""
    ended_at: float = 0.0
    kind: Kind = "unanswered"
    status: int = 0
    trace: str = ""
    """The request's id; empty where no answer told it."""
    text: str = ""
    detail: str = ""
    """What went wrong, in the service's words or the client's."""

    @property
    def seconds(self) -> float:
        return self.ended_at - self.started_at


class _Error(msgspec.Struct):
    message: str = ""
    code: str | None = None
    hint: str | None = None


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    message: _Delta = msgspec.field(default_factory=_Delta)


class _Event(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    error: _Error | None = None


_event = msgspec.json.Decoder(_Event).decode


@dataclass
class Load:
    """Requests to a service from a thread of its own, until `stop`. Use it as a block."""

    url: str
    key: str
    per_s: float
    name: str = ""
    """Begins every question, so that several loads can be told apart."""
    streams: bool | None = None
    """Whether all are streamed; None: half of them."""
    leaves: float = 0.0
    """Share of the streams whose client goes away after the first piece."""
    model: str = "chat"
    said: list[Said] = field(default_factory=list)
    """All that have ended, in the order of their ends."""
    begun: int = 0

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._random = Random(1)
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin no more, and wait until all have ended."""
        self._stopping.set()
        self._thread.join()

    def since(self, at: float, until: float = float("inf")) -> list[Said]:
        """Those that began in this time and have ended."""
        return [each for each in list(self.said) if at <= each.started_at < until]

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        headers = {"authorization": f"Bearer {self.key}"}
        client = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=PATIENCE_S, limits=limits
        )
        loop = asyncio.get_running_loop()
        async with client, asyncio.TaskGroup() as group:
            began = loop.time()
            for number in itertools.count():
                # Behind time after a stall, it catches up: that is what clients do.
                await asyncio.sleep(max(0.0, began + number / self.per_s - loop.time()))
                if self._stopping.is_set():
                    return
                stream = number % 2 == 0 if self.streams is None else self.streams
                said = Said(f"{self.name}{number:06d}", stream, time.monotonic())
                self.begun += 1
                group.create_task(self._one(client, said, directly=number % 4 < 2))

    async def _one(self, client: httpx.AsyncClient, said: Said, *, directly: bool) -> None:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": said.question}],
            "stream": said.stream,
        }
        headers = {} if directly else {"cache-control": "no-store"}
        try:
            await (self._streamed if said.stream else self._whole)(client, said, body, headers)
        except httpx.HTTPError as error:
            said.kind = "broken" if said.text else "unanswered"
            said.detail = f"{type(error).__name__}: {error}"
        said.ended_at = time.monotonic()
        self.said.append(said)

    async def _whole(
        self,
        client: httpx.AsyncClient,
        said: Said,
        body: dict[str, object],
        headers: dict[str, str],
    ) -> None:
        reply = await client.post("/v1/chat/completions", json=body, headers=headers)
        _note(said, reply)
        event = _event(reply.content)
        if event.error is not None:
            said.kind, said.detail = "refused", f"{event.error.code}: {event.error.message}"
            return
        said.text = event.choices[0].message.content or ""
        said.kind = _judged(said)

    async def _streamed(
        self,
        client: httpx.AsyncClient,
        said: Said,
        body: dict[str, object],
        headers: dict[str, str],
    ) -> None:
        sending = client.stream("POST", "/v1/chat/completions", json=body, headers=headers)
        async with sending as reply:
            _note(said, reply)
            if reply.status_code != 200:
                error = _event(await reply.aread()).error or _Error()
                said.kind, said.detail = "refused", f"{error.code}: {error.message}"
                return
            leaves = self._random.random() < self.leaves
            async for line in reply.aiter_lines():
                if leaves and said.text:
                    said.kind = "left"
                    return
                data = line.removeprefix("data: ")
                if data == "[DONE]":
                    said.kind = _judged(said)
                elif data and (broken := _heard(said, data)) is not None:
                    said.detail = f"{broken.code}: {broken.message}"
            if said.kind == "unanswered":
                said.kind = "broken"


def _heard(said: Said, data: str) -> _Error | None:
    """Take one event of a stream."""
    event = _event(data)
    for choice in event.choices:
        said.text += choice.delta.content or ""
    return event.error


def _note(said: Said, reply: httpx.Response) -> None:
    said.status = reply.status_code
    said.trace = reply.headers.get("x-headrace-trace", "")


def _judged(said: Said) -> Kind:
    return "ok" if said.text == f"re: {said.question}" else "wrong"


def counted(said: Sequence[Said], by: Callable[[Said], str] = lambda each: each.kind) -> str:
    """`ok 118, broken 2`, for messages."""
    return ", ".join(f"{what} {times}" for what, times in Counter(map(by, said)).most_common())
