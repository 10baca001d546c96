"""Who runs evals: in the background, beside live traffic, going on after any kill.

Calls go through the same door as any request, as the key that made the run: its limits, the
pipeline, traces. A row's outcome is kept within half a second; a process that dies asks again only
what was on its way.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from headrace.access.keys import KeyStore
from headrace.access.principal import Principal
from headrace.datasets.upload import FileStore
from headrace.errors import HeadraceError, InvalidRequest, ModelUnavailable, NotFound
from headrace.evaluation.ask import Answer as ModelAnswer
from headrace.evaluation.ask import Ask
from headrace.evaluation.scorer import Tools
from headrace.workflows.batch.runner import AGAIN, LONGEST_PAUSE_S, TRIES, Answer, Reply
from headrace.workflows.evals.criterion import Grader, make_grader
from headrace.workflows.evals.job import EvalRun, ItemStatus, OutputItem, RunCounts, Usage
from headrace.workflows.evals.sample import (
    Sample,
    counted,
    error_of,
    json_of,
    sample_of,
    shown_sample,
    turns_of,
)
from headrace.workflows.evals.source import Row, count_rows, read_rows
from headrace.workflows.evals.store import EvalStore

__all__ = ["EvalRunner", "ToolsFor"]

LOOK_EVERY_S = 1.0
KEEP_EVERY_S = 0.5
AT_ONCE = 8
_CHAT = "/v1/chat/completions"
_SAMPLING = frozenset(
    ("max_completion_tokens", "reasoning_effort", "response_format", "seed", "temperature", "tools",
     "top_p")
)  # fmt: skip

_log = logging.getLogger(__name__)

ToolsFor = Callable[[], Tools]
"""What scorers may use, of the service as it is now; the runner adds who is asked."""


@dataclass(slots=True)
class _Running:
    """A run while its rows are answered."""

    run: EvalRun
    principal: Principal
    graders: Mapping[str, Grader] = field(default_factory=dict)
    waiting: list[OutputItem] = field(default_factory=list)
    """Outcomes that are not kept yet."""
    pause_until: float = 0.0


class EvalRunner:
    """Works on every run of a home, one after the other. One process of a home runs it."""

    def __init__(
        self,
        store: EvalStore,
        files: FileStore,
        keys: KeyStore,
        answer: Answer,
        tools: ToolsFor,
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._store = store
        self._files = files
        self._keys = keys
        self._answer = answer
        self._tools = tools
        self._at_once = at_once

    async def run(self) -> None:
        """Look for runs and work on them, until cancelled."""
        while True:
            for run in await asyncio.to_thread(self._store.unended):
                try:
                    await self.work(run)
                except NotFound:
                    _log.info("%s was deleted while it ran", run.id)
            await asyncio.sleep(LOOK_EVERY_S)

    async def work(self, run: EvalRun) -> EvalRun:
        """Bring one run to its end; gives it as it is then."""
        principal = self._keys.get(run.key_id)
        if principal is None:
            return await self._failed(run, "key_revoked", "the key that made the run was revoked")
        running = _Running(run, principal)
        try:
            await self._begin(running)
            await self._rows(running)
        except NotFound:
            raise
        except HeadraceError as error:
            return await self._failed(run, error.code, error.message)
        except Exception:  # noqa: BLE001 - see below
            # A run that breaks the runner must not keep those behind it from being run.
            _log.exception("the run %s failed", run.id)
            return await self._failed(run, "internal_error", "the run failed; see the server's log")

        def ended(now: EvalRun) -> EvalRun:
            if now.has_ended:
                return now
            return msgspec.structs.replace(now, status="completed")

        return await asyncio.to_thread(self._store.change_run, run, ended)

    async def _begin(self, running: _Running) -> None:
        run = running.run

        async def ask(body: dict[str, object]) -> str:
            reply = await self._asked(running, body)
            if reply.status >= 400:
                raise ModelUnavailable(f"the grader's model: {error_of(reply)[1]}")
            return sample_of(reply).text

        async def ask_scorer(ask_: Ask) -> ModelAnswer:
            params = msgspec.to_builtins(ask_.params)
            params.update(params.pop("extra", {}))
            said = msgspec.to_builtins(ask_.messages)
            return ModelAnswer(text=await ask({"model": ask_.model, "messages": said, **params}))

        there = self._tools()
        tools = Tools(
            root=there.root, environ=there.environ, embedder=there.embedder, ask=ask_scorer
        )
        running.graders = {
            str(each["name"]): make_grader(each, tools, ask) for each in run.criteria
        }
        total = await asyncio.to_thread(count_rows, run, self._files, there.root, there.environ)

        def begun(now: EvalRun) -> EvalRun:
            if now.status != "queued":
                return now
            return msgspec.structs.replace(now, status="in_progress", counts=RunCounts(total=total))

        running.run = await asyncio.to_thread(self._store.change_run, run, begun)

    async def _rows(self, running: _Running) -> None:
        done = await asyncio.to_thread(self._store.done, running.run)
        there = self._tools()
        rows = (
            row
            for row in read_rows(running.run, self._files, there.root, there.environ)
            if row.number not in done
        )
        asking = asyncio.create_task(self._all(running, rows))
        keeper = asyncio.create_task(self._keep(running))
        try:
            await asyncio.wait({asking, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if keeper.done():
                keeper.result()  # deleted, or a database that fails
            else:
                asking.result()
        finally:
            # Cancelled or deleted: what is being answered is dropped, however long it would take.
            for task in (asking, keeper):
                task.cancel()
            await asyncio.gather(asking, keeper, return_exceptions=True)
            await asyncio.to_thread(self._flush, running)

    async def _all(self, running: _Running, rows: Iterator[Row]) -> None:
        lock = asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._at_once):
                    group.create_task(self._worker(running, rows, lock))
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None

    async def _worker(self, running: _Running, rows: Iterator[Row], lock: asyncio.Lock) -> None:
        while True:
            async with lock:
                row = await asyncio.to_thread(lambda: next(islice(rows, 1), None))
            if row is None:
                return
            running.waiting.append(await self._row(running, row))

    async def _keep(self, running: _Running) -> None:
        """Keep outcomes, until the run has ended elsewhere."""
        while running.run.status == "in_progress":
            await asyncio.sleep(KEEP_EVERY_S)
            await asyncio.to_thread(self._flush, running)

    def _flush(self, running: _Running) -> None:
        """Outcomes to the database; the run as it is there comes back, cancelled perhaps."""
        items = running.waiting[:]
        running.run = self._store.put(running.run, items, lambda run: counted(run, items))
        del running.waiting[: len(items)]

    async def _failed(self, run: EvalRun, code: str, message: str) -> EvalRun:
        def failed(now: EvalRun) -> EvalRun:
            if now.has_ended:
                return now
            return msgspec.structs.replace(
                now, status="failed", error_code=code, error_message=message
            )

        return await asyncio.to_thread(self._store.change_run, run, failed)

    # One row

    async def _row(self, running: _Running, row: Row) -> OutputItem:
        """Ask, and grade what was answered; what cannot be is an error of this row alone."""
        usage: dict[str, Usage] = {}
        sample = dict(row.sample)
        said: list[dict[str, str]] = []
        error = ("", "")
        results: list[dict[str, object]] = []
        started = time.perf_counter()
        try:
            if running.run.data_source.get("type") != "jsonl":
                said, got = await self._sampled(running, row)
                sample = {
                    "output_text": got.text,
                    "model": got.model,
                    "finish_reason": got.finish_reason,
                    "total_s": time.perf_counter() - started,
                }
                usage[got.model] = got.usage
            with_json = {**sample, "output_json": json_of(str(sample.get("output_text", "")))}
            values = {"item": row.item, "sample": with_json}
            for criterion in running.run.criteria:
                name = str(criterion["name"])
                grade = await running.graders[name](values)
                results.append(
                    {
                        "name": name,
                        "type": criterion["type"],
                        "score": grade.score,
                        "passed": grade.passed,
                        "note": grade.note,
                    }
                )
        except _Refused as refused:
            error = refused.told
        except HeadraceError as failed:
            error = (failed.code, failed.message)
        except Exception as failed:  # noqa: BLE001 - a user's own scorer may raise anything
            error = ("scorer_failed", f"{type(failed).__name__}: {failed}")
        status: ItemStatus = "pass" if all(each["passed"] for each in results) else "fail"
        shown = shown_sample(running.run, said, sample, usage, error)
        return OutputItem(
            number=row.number, created_at=self._store.clock(),
            status="error" if error[0] else status,
            item=row.item, results=results, sample=shown, usage=usage,
        )  # fmt: skip

    async def _sampled(self, running: _Running, row: Row) -> tuple[list[dict[str, str]], Sample]:
        """The model's answer; to several turns, each after the answer before."""
        source = running.run.data_source
        asked: list[dict[str, str]] = []
        got: Sample | None = None
        usage = Usage()
        for more in turns_of(source, row):
            asked = [*asked, *more]
            sampling = source.get("sampling_params")
            params = {
                k: v for k, v in (sampling if isinstance(sampling, dict) else {}).items()
                if k in _SAMPLING
            }  # fmt: skip
            body = {**row.params, **params, "messages": asked}
            if source.get("model"):
                body["model"] = source["model"]
            reply = await self._asked(running, body)
            if reply.status >= 400:
                raise _Refused(error_of(reply))
            got = sample_of(reply)
            usage = usage.plus(got.usage)
            asked = [*asked, {"role": "assistant", "content": got.text}]
        if got is None:
            raise InvalidRequest("the row asks nothing")
        got.usage = usage
        return asked[:-1], got

    async def _asked(self, running: _Running, body: Mapping[str, object]) -> Reply:
        """Ask until there is an answer that another try would not mend."""
        loop = asyncio.get_running_loop()
        data = msgspec.json.encode(body)
        tries, pause_s = 0, 1.0
        while True:
            if (wait_s := running.pause_until - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            reply = await self._answer(running.principal, _CHAT, data)
            if reply.status not in AGAIN or running.run.status != "in_progress":
                return reply
            if reply.status != 429:
                tries += 1
                if tries == TRIES:
                    return reply
            pause_s = min(reply.retry_after_s or 2 * pause_s, LONGEST_PAUSE_S)
            running.pause_until = max(running.pause_until, loop.time() + pause_s)


class _Refused(Exception):
    """The model's answer to a row was an error."""

    @property
    def told(self) -> tuple[str, str]:
        code, message = self.args[0]
        return str(code), str(message)
