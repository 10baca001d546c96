"""Who answers the rows of batches: beside live traffic, which goes first, and whatever is killed.

Rows go through the same door as any request, as the key that made the batch: its limits, the
pipeline, traces. When the service is full or a limit is reached a row waits and is asked again.
A row's result is kept as soon as it is there; a process that dies asks again only what was on its
way. At the end the results become files, in the order of the rows.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from headrace.access.keys import KeyStore
from headrace.access.principal import Principal
from headrace.datasets.errors import DatasetUnreadable
from headrace.datasets.upload import FileStore, StoredFile
from headrace.errors import NotFound
from headrace.ids import new_id
from headrace.workflows.batch.job import Batch, BatchProblem, BatchStatus, Counts
from headrace.workflows.batch.log import ResultLog
from headrace.workflows.batch.request import BatchRequest, check_requests, read_requests
from headrace.workflows.batch.store import BatchStore

__all__ = ["Answer", "BatchRunner", "Reply", "Saw"]

LOOK_EVERY_S = 1.0
SYNC_EVERY_S = 0.5
"""How long a result may be in memory alone; a kill then costs asking its row again."""
AGAIN = frozenset((408, 409, 429, 500, 502, 503, 504))
"""What another try may mend."""
TRIES = 5
"""Of a row that fails for another reason than being too many."""
LONGEST_PAUSE_S = 60.0
AT_ONCE = 16
LEFT_AFTER_S = 3600.0
"""Past its end, after which any gateway ends a batch whose file, and perhaps whose gateway, is gone."""
FOLDER = "batches"

_log = logging.getLogger(__name__)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What one request was answered."""

    status: int
    body: bytes
    request_id: str
    retry_after_s: float | None = None


Answer: TypeAlias = Callable[[Principal, str, bytes], Awaitable[Reply]]
"""Answers one request: who asks, at which address, with what body."""


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class _Body(msgspec.Struct):
    usage: _Usage | None = None


class Saw(Protocol):
    """Told how a batch gets on."""

    def __call__(self, batch: Batch) -> None: ...


@dataclass(slots=True)
class _Running:
    """A batch while its rows are answered."""

    batch: Batch
    principal: Principal
    log: ResultLog
    prompt_tokens: int = 0
    completion_tokens: int = 0
    pause_until: float = 0.0
    """Loop time before which no further row is asked: a limit was reached."""


class BatchRunner:
    """Works on every batch of a home, one after the other. One process of a home runs it."""

    def __init__(
        self,
        store: BatchStore,
        files: FileStore,
        keys: KeyStore,
        home: Path,
        answer: Answer,
        *,
        at_once: int = AT_ONCE,
        saw: Saw = lambda _: None,
    ) -> None:
        self._store = store
        self._files = files
        self._keys = keys
        self._folder = home / FOLDER
        self._answer = answer
        self._at_once = at_once
        self._saw = saw

    async def run(self) -> None:
        """Look for batches and work on them, until cancelled."""
        while True:
            for batch in await asyncio.to_thread(self._unended):
                await self.work(batch.id)
            await asyncio.to_thread(self._files.expire)
            await asyncio.sleep(LOOK_EVERY_S)

    def _unended(self) -> list[Batch]:
        """What this home is to work on."""
        batches = self._store.unended()
        if not self._store.is_shared:
            return batches
        # Another gateway's on the same server has its file, and works on it.
        others = [each for each in batches if not self._files.is_here(each.input_file_id)]
        gone = self._store.without_file(others)
        theirs = {each.id for each in others if each.id not in gone or not self._may_end(each)}
        return [each for each in batches if each.id not in theirs]

    def _may_end(self, batch: Batch) -> bool:
        """Whether a batch whose file no gateway has any more is this one's to end."""
        is_over = self._store.clock() >= batch.expires_at + LEFT_AFTER_S
        return batch.status == "validating" or is_over or self._log_path(batch).exists()

    def _log_path(self, batch: Batch) -> Path:
        return self._folder / f"{batch.id}.results"

    async def work(self, batch_id: str) -> Batch:
        """Bring one batch to its end; gives it as it is then."""
        batch = await asyncio.to_thread(self._store.get, batch_id, None)
        if batch.status == "validating":
            batch = await asyncio.to_thread(self._validated, batch)
        if batch.has_ended:
            self._saw(batch)
            return batch
        principal = self._keys.get(batch.key_id)
        path = self._log_path(batch)
        log = await asyncio.to_thread(ResultLog, path, self._files.vault, f"batch:{batch.id}")
        running = _Running(batch, principal or _nobody(batch), log)
        problem: BatchProblem | None = None
        try:
            if principal is None:
                problem = BatchProblem(
                    code="key_revoked", message="the key that made the batch was revoked"
                )
            elif batch.status == "in_progress" and len(log) < batch.counts.total:
                problem = await self._asked(running)
            return await asyncio.to_thread(self._finished, running, problem)
        finally:
            log.close()

    # From lines to results

    async def _asked(self, running: _Running) -> BatchProblem | None:
        """Ask every row; gives what is wrong when the file was deleted meanwhile."""
        batch = running.batch
        try:
            await self._rows(running)
        except (NotFound, DatasetUnreadable):
            try:
                await asyncio.to_thread(self._files.get, batch.input_file_id, batch.key_id)
            except NotFound as error:
                return _invalid_file(error.message)
            raise  # a disk may be readable again
        return None

    async def _rows(self, running: _Running) -> None:
        """Ask every row that has no result yet, until all have one or the batch is to end."""
        source = await asyncio.to_thread(
            self._files.get, running.batch.input_file_id, running.batch.key_id
        )
        rows = iter(enumerate(read_requests(self._files.lines(source))))
        waiting: deque[tuple[int, BatchRequest]] = deque()
        asking: set[asyncio.Task[None]] = set()
        keeper = asyncio.create_task(self._keep(running))
        try:
            while not self._is_over(running):
                while len(asking) < self._at_once:
                    if not waiting:
                        waiting.extend(await asyncio.to_thread(_some, rows, running.log))
                    if not waiting:
                        break
                    asking.add(asyncio.create_task(self._row(running, *waiting.popleft())))
                if not asking:
                    break
                done, asking = await asyncio.wait(
                    asking, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
                for each in done:
                    each.result()
            if asking:
                # Told to end: what is being answered still is.
                await asyncio.wait(asking)
        finally:
            keeper.cancel()
            for each in asking:
                each.cancel()
            await asyncio.gather(keeper, *asking, return_exceptions=True)
            await asyncio.to_thread(self._sync, running)

    async def _row(self, running: _Running, row: int, request: BatchRequest) -> None:
        """Ask one row until there is a result."""
        loop = asyncio.get_running_loop()
        tries, pause_s = 0, 1.0
        while True:
            if (wait_s := running.pause_until - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            if self._is_over(running):
                return
            reply = await self._answer(running.principal, request.url, bytes(request.body))
            if reply.status not in AGAIN:
                break
            if reply.status != 429:
                tries += 1
                if tries == TRIES:
                    break
            pause_s = min(reply.retry_after_s or 2 * pause_s, LONGEST_PAUSE_S)
            if reply.status in (429, 503):
                running.pause_until = max(running.pause_until, loop.time() + pause_s)
            else:
                await asyncio.sleep(pause_s)
        self._count(running, reply)
        line = _result(request.custom_id, reply)
        running.log.append(row, line, ok=reply.status < 400)

    def _count(self, running: _Running, reply: Reply) -> None:
        if reply.status >= 400:
            return
        try:
            usage = msgspec.json.decode(reply.body, type=_Body).usage
        except msgspec.DecodeError:
            return
        if usage is not None:
            running.prompt_tokens += usage.prompt_tokens + usage.input_tokens
            running.completion_tokens += usage.completion_tokens + usage.output_tokens

    def _is_over(self, running: _Running) -> bool:
        batch = running.batch
        return batch.status != "in_progress" or self._store.clock() >= batch.expires_at

    async def _keep(self, running: _Running) -> None:
        """Put results on the disk and counts into the database, twice a second."""
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            await asyncio.to_thread(self._sync, running)
            self._saw(running.batch)

    def _sync(self, running: _Running) -> None:
        running.log.sync()
        running.batch = self._store.change(running.batch.id, lambda batch: _counted(batch, running))
        running.prompt_tokens = running.completion_tokens = 0

    # Before and after

    def _validated(self, batch: Batch) -> Batch:
        try:
            source = self._files.get(batch.input_file_id, batch.key_id)
            rows, problems = check_requests(self._files.lines(source), batch.endpoint)
        except (NotFound, DatasetUnreadable) as error:
            rows, problems = 0, [_invalid_file(error.message)]

        def change(now: Batch) -> Batch:
            if now.status != "validating":
                return now  # cancelled meanwhile
            if problems:
                return now.moved("failed", self._store.clock(), problems=problems)
            return now.moved("in_progress", self._store.clock(), counts=Counts(total=rows))

        return self._store.change(batch.id, change)

    def _finished(self, running: _Running, problem: BatchProblem | None) -> Batch:
        """Results become files; then the batch has ended. May be done again after a kill."""
        now = self._store.clock()
        log = running.log

        def finalizing(batch: Batch) -> Batch:
            whole = len(log) >= batch.counts.total
            if batch.status == "in_progress" and whole:
                return batch.moved("finalizing", now)
            return batch

        batch = self._store.change(running.batch.id, finalizing)
        output = self._written(batch, log, ok=True) if log.completed else None
        errors = self._written(batch, log, ok=False) if log.failed else None
        end: BatchStatus = "completed"
        if batch.status == "cancelling":
            end = "cancelled"
        elif problem is not None:
            end = "failed"
        elif batch.status == "in_progress":
            end = "expired"

        def ended(batch: Batch) -> Batch:
            return batch.moved(
                end,
                self._store.clock(),
                output_file_id=output.id if output is not None else None,
                error_file_id=errors.id if errors is not None else None,
                counts=Counts(batch.counts.total, log.completed, log.failed),
                problems=batch.problems if problem is None else [problem],
            )

        batch = self._store.change(batch.id, ended)
        log.remove()
        self._saw(batch)
        _log.info("%s is %s: %d of %d rows", batch.id, end, log.completed, batch.counts.total)
        return batch

    def _written(self, batch: Batch, log: ResultLog, *, ok: bool) -> StoredFile:
        name = f"{batch.id}_{'output' if ok else 'error'}.jsonl"
        writer = self._files.new(name, "batch_output", batch.key_id)
        try:
            for line, was_ok in log.lines():
                if was_ok == ok:
                    writer.write(line + b"\n")
            return writer.close()
        except BaseException:
            writer.abandon()
            raise


def _invalid_file(message: str) -> BatchProblem:
    return BatchProblem(code="invalid_file", message=message, param="input_file_id")


def _some(
    rows: "enumerate[BatchRequest]", log: ResultLog, most: int = 256
) -> list[tuple[int, BatchRequest]]:
    """The next rows without a result; read in a thread."""
    return list(islice((each for each in rows if each[0] not in log), most))


def _counted(batch: Batch, running: _Running) -> Batch:
    return msgspec.structs.replace(
        batch,
        counts=Counts(batch.counts.total, running.log.completed, running.log.failed),
        prompt_tokens=batch.prompt_tokens + running.prompt_tokens,
        completion_tokens=batch.completion_tokens + running.completion_tokens,
    )


def _result(custom_id: str, reply: Reply) -> bytes:
    """A line of an output file, in OpenAI's shape."""
    try:
        body = msgspec.Raw(msgspec.json.format(reply.body, indent=-1))
    except msgspec.DecodeError:
        body = msgspec.Raw(msgspec.json.encode(reply.body.decode("utf-8", "replace")))
    return msgspec.json.encode(
        {
            "id": f"batch_req_{new_id()}",
            "custom_id": custom_id,
            "response": {
                "status_code": reply.status,
                "request_id": reply.request_id,
                "body": body,
            },
            "error": None,
        }
    )


def _nobody(batch: Batch) -> Principal:
    """Whose key was revoked: nothing is asked for them any more."""
    return Principal(key_id=batch.key_id, name="", role="user")
