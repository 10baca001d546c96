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
from headrace.workflows.evals.source import Row, count_rows, read_rows
from headrace.workflows.evals.store import EvalStore
from headrace.workflows.evals.template import messages

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


class _Choice(msgspec.Struct):
    message: dict[str, object]
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int = 0


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Chat(msgspec.Struct):
    choices: list[_Choice] = []
    model: str = ""
    usage: _Tokens | None = None


@dataclass(slots=True)
class _Sample:
    """A model's answer, and what asking for it took."""

    text: str
    model: str
    finish_reason: str
    usage: Usage


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
        except Exception:
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
                raise ModelUnavailable(f"the grader's model: {_error(reply)[1]}")
            return _sample(reply).text

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
        lock = asyncio.Lock()
        keeper = asyncio.create_task(self._keep(running))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._at_once):
                    group.create_task(self._worker(running, rows, lock))
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await asyncio.to_thread(self._flush, running)

    async def _worker(self, running: _Running, rows: Iterator[Row], lock: asyncio.Lock) -> None:
        while running.run.status == "in_progress":
            async with lock:
                row = await asyncio.to_thread(lambda: next(islice(rows, 1), None))
            if row is None:
                return
            running.waiting.append(await self._row(running, row))

    async def _keep(self, running: _Running) -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            await asyncio.to_thread(self._flush, running)

    def _flush(self, running: _Running) -> None:
        """Outcomes to the database; the run as it is there comes back, cancelled perhaps."""
        items = running.waiting[:]
        running.run = self._store.put(running.run, items, lambda run: _counted(run, items))
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
            with_json = {**sample, "output_json": _json(str(sample.get("output_text", "")))}
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
        shown = _shown_sample(running.run, said, sample, usage, error)
        return OutputItem(
            number=row.number, created_at=self._store.clock(),
            status="error" if error[0] else status,
            item=row.item, results=results, sample=shown, usage=usage,
        )  # fmt: skip

    async def _sampled(self, running: _Running, row: Row) -> tuple[list[dict[str, str]], _Sample]:
        """The model's answer; to several turns, each after the answer before."""
        source = running.run.data_source
        asked: list[dict[str, str]] = []
        got: _Sample | None = None
        usage = Usage()
        for more in _turns(source, row):
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
                raise _Refused(_error(reply))
            got = _sample(reply)
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


def _turns(source: Mapping[str, object], row: Row) -> list[list[dict[str, str]]]:
    """What the user says, one list of messages a turn."""
    asked = source.get("input_messages")
    values = {"item": row.item, "sample": row.sample}
    if isinstance(asked, dict) and asked.get("type") == "template":
        template = asked.get("template")
        return [messages(template if isinstance(template, list) else [], values)]
    if isinstance(asked, dict) and asked.get("type") == "item_reference":
        found: object = {"item": row.item}
        for name in str(asked.get("item_reference")).split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, list):
            raise InvalidRequest("'item_reference' names no list of messages")
        return [messages(found, {})]
    said = row.item.get("input")
    texts = said if isinstance(said, list) else [said]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise InvalidRequest("say 'input_messages', or give items an `input`")
    return [[{"role": "user", "content": str(text)}] for text in texts]


def _counted(run: EvalRun, items: list[OutputItem]) -> EvalRun:
    by_criterion = dict(run.by_criterion)
    usage = dict(run.usage)
    for item in items:
        for each in item.results:
            passed, failed = by_criterion.get(str(each["name"]), (0, 0))
            is_passed = bool(each["passed"])
            by_criterion[str(each["name"])] = (passed + is_passed, failed + (not is_passed))
        for model, took in item.usage.items():
            usage[model] = usage.get(model, Usage()).plus(took)
    states = [item.status for item in items]
    counts = RunCounts(
        total=run.counts.total,
        passed=run.counts.passed + states.count("pass"),
        failed=run.counts.failed + states.count("fail"),
        errored=run.counts.errored + states.count("error"),
    )
    return msgspec.structs.replace(run, counts=counts, by_criterion=by_criterion, usage=usage)


def _sample(reply: Reply) -> _Sample:
    chat = msgspec.json.decode(reply.body, type=_Chat)
    used = chat.usage or _Tokens()
    cached = used.prompt_tokens_details
    choice = chat.choices[0] if chat.choices else _Choice({})
    return _Sample(
        text=str(choice.message.get("content") or ""),
        model=chat.model,
        finish_reason=choice.finish_reason or "",
        usage=Usage(
            invocations=1,
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            cached_tokens=cached.cached_tokens if cached is not None else 0,
        ),
    )


def _shown_sample(
    run: EvalRun,
    said: list[dict[str, str]],
    sample: Mapping[str, object],
    usage: Mapping[str, Usage],
    error: tuple[str, str],
) -> dict[str, object]:
    sampling = run.data_source.get("sampling_params")
    params = sampling if isinstance(sampling, dict) else {}
    took = next(iter(usage.values()), Usage())
    return {
        "input": said,
        "output": [{"role": "assistant", "content": str(sample.get("output_text", ""))}],
        "finish_reason": sample.get("finish_reason") or "",
        "model": sample.get("model") or run.model,
        "usage": {
            "total_tokens": took.prompt_tokens + took.completion_tokens,
            "prompt_tokens": took.prompt_tokens,
            "completion_tokens": took.completion_tokens,
            "cached_tokens": took.cached_tokens,
        },
        "error": {"code": error[0], "message": error[1]} if error[0] else None,
        "temperature": params.get("temperature"),
        "top_p": params.get("top_p"),
        "seed": params.get("seed"),
        "max_completion_tokens": params.get("max_completion_tokens"),
    }


def _error(reply: Reply) -> tuple[str, str]:
    try:
        error = msgspec.json.decode(reply.body, type=dict[str, dict[str, object]])["error"]
    except (msgspec.DecodeError, KeyError):
        return "internal_error", f"status {reply.status}"
    return str(error.get("code") or "error"), str(error.get("message") or "")


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
