"""One worker's process: a whole service but for what its supervisor has, on a port that it shares.

Started as `python -m headrace.server.workers.worker`. What it is to be comes as the first line on
standard input, which then stays open: when it closes, the supervisor is gone (even by `kill -9`),
and so is this process. What it has to say goes to what was standard output; see message.py.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path

import msgspec

from headrace.access.limits.mapped.limiter import LimitKeeper, MappedLimiter
from headrace.config.load import load_service
from headrace.errors import HeadraceError
from headrace.gateway.http import Exchange
from headrace.models.embedded.runtime import use_runtimes
from headrace.server.alone import alone
from headrace.server.batches import batch_runner
from headrace.server.boot import Booted, boot
from headrace.server.evals import eval_runner
from headrace.server.follow import Follower
from headrace.server.front import certificate_of, front_of, limits_of, until
from headrace.server.http1.certificate import Certificate
from headrace.server.http1.server import Handler, HttpServer
from headrace.server.listen import BACKLOG, allow_connections, shared
from headrace.server.rollout import Rollout
from headrace.server.run import SWITCH_S
from headrace.server.state import LIMITS_FILE
from headrace.server.tuning import tuning_runner
from headrace.server.upkeep import kept_up, prune, take_over_keys
from headrace.server.workers.handover import HandOver
from headrace.server.workers.message import (
    Begin,
    Commit,
    Drain,
    Drained,
    Drop,
    End,
    Failed,
    Failure,
    Learned,
    LearnKeys,
    Prepare,
    Ready,
    RuntimeIs,
    ToSupervisor,
    ToWorker,
    encode,
)
from headrace.server.workers.peer import FLUSH_PATH, SAMPLES_PATH, Peers
from headrace.server.workers.platform import WorkerPlatform
from headrace.server.workers.reload import Candidate
from headrace.server.workers.runtimes import SharedRuntimes
from headrace.server.workers.seat import WorkerSeat
from headrace.server.workflows import WorkflowProcess

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
KEEP_EVERY_S = 1.0
ORIGIN_BYTES = 1024
_decode = msgspec.json.Decoder(ToWorker).decode
_log = logging.getLogger(__name__)


def main() -> int:
    """Serve until told to end; gives the exit status."""
    import uvloop

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)  # no more than the line: the rest is the event loop's
        if not piece:
            return 1
        line += piece
    begin = msgspec.json.decode(line, type=Begin)
    # Whatever a library prints must not come between the messages.
    said = os.dup(1)
    os.dup2(2, 1)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format=f"%(asctime)s %(levelname)-7s worker {begin.slot}: %(message)s",
    )
    logging.getLogger("headrace").setLevel(begin.log)
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Worker(begin, said).run())


class _Worker:
    def __init__(self, begin: Begin, said: int) -> None:
        self._begin = begin
        self._said = said
        self._draining = asyncio.Event()
        self._ending = asyncio.Event()
        self._runtimes = SharedRuntimes(self._say)
        self._peers = Peers(Path(begin.folder), begin.slot, begin.workers)
        self._front: HttpServer | None = None
        self._booted: Booted | None = None
        self._candidate: Candidate | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        use_runtimes(self._runtimes)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._leave)
        listening = asyncio.create_task(self._listen())
        try:
            await self._serve()
        except HeadraceError as error:
            self._say(Failed(failure=Failure.of(error)))
            return 1
        finally:
            listening.cancel()
        return 0

    async def _serve(self) -> None:
        begin = self._begin
        root, home = Path(begin.root), Path(begin.home)
        config = load_service(root, os.environ).server
        certificate = certificate_of(root, config)
        allow_connections(config.max_connections)
        seat = WorkerSeat(self._peers, begin.boot)
        async with boot(root, os.environ, seat=seat) as booted:
            self._booted = booted
            self._candidate = Candidate(booted.platform, booted.loader)
            traces = booted.platform.traces
            around: list[HandOver] = []

            async def has_begun(turn: str) -> bool:
                await booted.platform.writer.flush()
                return await asyncio.to_thread(traces.has_begun, turn)

            def hand_over(handler: Handler) -> Handler:
                around.append(HandOver(handler, self._peers, has_begun=has_begun))
                return around[0]

            front = self._front = front_of(booted.platform, config, certificate, around=hand_over)
            limits = limits_of(config)
            # What is handed over has a header more.
            limits = dataclasses.replace(limits, header_bytes=limits.header_bytes + ORIGIN_BYTES)
            back = HttpServer(_Back(booted, around[0]), limits, drain_s=config.drain_s)
            async with self._background(booted, certificate, home), self._answering(back):
                with shared(begin.host, begin.port) as listener:
                    serving = asyncio.create_task(front.serve(listener))
                    try:
                        await until(front.answering, serving)
                        self._say(_ready(booted))
                        await until(self._draining, serving)
                        front.stop()
                        await serving
                    finally:
                        serving.cancel()
                self._say(Drained())
                # Other workers may still need what this one owns.
                await self._ending.wait()

    @contextlib.asynccontextmanager
    async def _answering(self, back: HttpServer) -> AsyncIterator[None]:
        """Answer the other workers, on a socket that is there only while somebody listens."""
        path = self._peers.socket(self._begin.slot)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(fresh))
            listener.listen(BACKLOG)
            serving = asyncio.create_task(back.serve(listener))
            try:
                await until(back.answering, serving)
                fresh.rename(path)
                yield
            finally:
                path.unlink(missing_ok=True)
                back.stop_at_once()
                await serving
                self._peers.close()

    @contextlib.asynccontextmanager
    async def _background(
        self, booted: Booted, certificate: Certificate | None, home: Path
    ) -> AsyncIterator[None]:
        platform = booted.platform
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "taking over keys": lambda: take_over_keys(platform),
            "deleting what is old": lambda: prune(platform),
            "asking which models end": lambda: booted.retirements.run(platform),
            "rolling out": Rollout(platform, booted.loader, judges=self._begin.slot == 0).run,
        }
        if self._begin.slot == 0:
            follower = Follower(platform.database, booted.loader.root, home)
            works["following other gateways"] = follower.run
            works["working on batches"] = batch_runner(platform).run
            workflows = WorkflowProcess(platform, booted.loader.root, booted.loader.environ)
            works["running workflows"] = workflows.run
            evals = eval_runner(platform, booted.loader.environ)
            works["working on evals"] = lambda: alone(platform.database, "evals", evals.run)
            works["working on fine-tuning jobs"] = tuning_runner(
                platform, booted.loader.environ
            ).run
        if certificate is not None:
            works["watching the certificate"] = certificate.watch
        keeper: LimitKeeper | None = None
        if self._begin.slot == 0 and isinstance(platform.limiter, MappedLimiter):
            keeper = LimitKeeper(home / LIMITS_FILE, 0, platform.writer)
            works["keeping the limits' counts"] = partial(_keep, keeper)
        tasks = [asyncio.create_task(kept_up(what, work)) for what, work in works.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if keeper is not None:
                keeper.close()

    async def _listen(self) -> None:
        """Do what the supervisor says, until it is gone."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            self._heard(_decode(line))
        # Nobody restarts anything any more, and the next service is to find its home free.
        os._exit(1)

    def _heard(self, message: ToWorker) -> None:
        match message:
            case RuntimeIs():
                self._runtimes.told(message)
            case Prepare() if self._candidate is not None:
                self._do(self._prepare(self._candidate, message.version))
            case Commit() if self._candidate is not None:
                self._candidate.commit(message.version)
            case Drop() if self._candidate is not None:
                self._candidate.drop(message.version)
            case LearnKeys():
                self._do(self._learn_keys())
            case Drain(at_once=at_once):
                if at_once and self._front is not None:
                    self._front.stop_at_once()
                self._draining.set()
            case End():
                self._draining.set()
                self._ending.set()
            case _:
                _log.error("%s is not for now", type(message).__name__)

    def _leave(self) -> None:
        """SIGTERM to this worker alone: it drains, ends, and another takes its place."""
        self._draining.set()
        self._ending.set()

    async def _prepare(self, candidate: Candidate, version: int) -> None:
        self._say(await candidate.prepare(version))

    async def _learn_keys(self) -> None:
        if self._booted is not None:
            await asyncio.to_thread(self._booted.platform.keys.refresh)
        self._say(Learned())

    def _do(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _say(self, message: ToSupervisor) -> None:
        data = encode(message) + b"\n"
        # A pipe takes a line of this size whole; without a reader this process is about to end.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._said, data)


class _Back:
    """What one worker answers another."""

    def __init__(self, booted: Booted, hand_over: HandOver) -> None:
        assert isinstance(booted.platform, WorkerPlatform)
        self._platform = booted.platform
        self._hand_over = hand_over

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.path == SAMPLES_PATH:
            exchange.respond(200, [], await asyncio.to_thread(self._platform.figures.tell))
        elif exchange.path == FLUSH_PATH:
            await self._platform.writer.flush()
            exchange.respond(200, [], b"")
        else:
            await self._hand_over.answer_for(exchange)


def _ready(booted: Booted) -> Ready:
    service = booted.platform.service
    return Ready(
        name=service.config.name,
        release=service.release,
        builtin=service.config.builtin,
        interrupted=booted.interrupted,
    )


async def _keep(keeper: LimitKeeper) -> None:
    while True:
        await asyncio.sleep(KEEP_EVERY_S)
        keeper.keep()


if __name__ == "__main__":
    sys.exit(main())
