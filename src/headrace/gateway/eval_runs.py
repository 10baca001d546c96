"""`/v1/evals/{id}/runs`: runs and what came of their rows, in OpenAI's shapes."""

import asyncio

import msgspec

from headrace.errors import NotFound
from headrace.gateway.call import Call
from headrace.gateway.query import Query
from headrace.gateway.wire import decode
from headrace.workflows.evals.job import Eval, EvalRun, OutputItem
from headrace.workflows.evals.source import check_data_source
from headrace.workflows.evals.store import EvalStore

__all__ = ["answer_item", "answer_items", "answer_run", "answer_runs"]

_ITEM = "outputitem_"


class _Create(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/evals/{id}/runs`."""

    data_source: dict[str, object]
    name: str = ""
    metadata: dict[str, str] | None = None


async def answer_runs(call: Call, found: Eval) -> None:
    """Make a run, or list what there is.

    Raises:
        NotFound: there is no such model's or rows' file.
        InvalidRequest: a source of rows that cannot be used here.
    """
    store = _store(call)
    if call.method == "POST":
        request, _ = decode(await call.body(), _Create)
        check_data_source(request.data_source, found.id)
        source = request.data_source["source"]
        if isinstance(source, dict) and source["type"] == "file_id":
            files = call.platform.files
            await asyncio.to_thread(files.get, str(source["id"]), call.principal.key_id)
        if model := request.data_source.get("model"):
            call.platform.service.models.get(str(model))
        run = await asyncio.to_thread(
            lambda: store.create_run(
                found,
                key_id=call.principal.key_id,
                name=request.name,
                data_source=request.data_source,
                metadata=request.metadata,
            )
        )
        await call.respond(msgspec.json.encode(_run_body(run)), status=201)
        return
    query = Query(call.query)
    runs, has_more = await asyncio.to_thread(
        lambda: store.runs(
            found.id,
            _owner(call),
            after=query.text("after"),
            limit=query.limit(20, 100),
            newest_first=query.text("order") == "desc",
            status=query.text("status"),
        )
    )
    await _list(call, [_run_body(run) for run in runs], has_more=has_more)


async def answer_run(call: Call, found: Eval, run_id: str) -> None:
    """One run: what is known of it, its cancellation (POST), or its end.

    Raises:
        NotFound: there is no such run, or it is another key's.
        InvalidRequest: it has ended already and cannot be cancelled.
    """
    store = _store(call)
    run = await asyncio.to_thread(store.run, found.id, run_id, _owner(call))
    if call.method == "POST":
        run = await asyncio.to_thread(store.cancel, run)
    elif call.method == "DELETE":
        await asyncio.to_thread(store.delete_run, run)
        body = {"object": "eval.run.deleted", "deleted": True, "run_id": run.id}
        await call.respond(msgspec.json.encode(body))
        return
    await call.respond(msgspec.json.encode(_run_body(run)))


async def answer_items(call: Call, found: Eval, run_id: str) -> None:
    """What came of the rows so far."""
    store, query = _store(call), Query(call.query)
    run = await asyncio.to_thread(store.run, found.id, run_id, _owner(call))
    after = query.text("after")
    number = _number(after, run_id) if after is not None else None
    items, has_more = await asyncio.to_thread(
        lambda: store.items(
            run,
            after=number,
            limit=query.limit(20, 100),
            newest_first=query.text("order") == "desc",
            status=query.text("status"),
        )
    )
    await _list(call, [_item_body(run, item) for item in items], has_more=has_more)


async def answer_item(call: Call, found: Eval, run_id: str, item_id: str) -> None:
    """What came of one row."""
    store = _store(call)
    run = await asyncio.to_thread(store.run, found.id, run_id, _owner(call))
    item = await asyncio.to_thread(store.item, run, _number(item_id, run_id))
    await call.respond(msgspec.json.encode(_item_body(run, item)))


async def _list(call: Call, data: list[dict[str, object]], *, has_more: bool) -> None:
    body = {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
    await call.respond(msgspec.json.encode(body))


def _run_body(run: EvalRun) -> dict[str, object]:
    error = {"code": run.error_code, "message": run.error_message} if run.error_code else None
    return {
        "object": "eval.run",
        "id": run.id,
        "eval_id": run.eval_id,
        "report_url": "",
        "status": run.status,
        "model": run.model,
        "name": run.name,
        "created_at": int(run.created_at),
        "result_counts": {
            "total": run.counts.total,
            "errored": run.counts.errored,
            "failed": run.counts.failed,
            "passed": run.counts.passed,
        },
        "per_model_usage": [
            {
                "model_name": model,
                "invocation_count": used.invocations,
                "prompt_tokens": used.prompt_tokens,
                "completion_tokens": used.completion_tokens,
                "total_tokens": used.prompt_tokens + used.completion_tokens,
                "cached_tokens": used.cached_tokens,
            }
            for model, used in run.usage.items()
        ],
        "per_testing_criteria_results": [
            {"testing_criteria": name, "passed": passed, "failed": failed}
            for name, (passed, failed) in run.by_criterion.items()
        ],
        "data_source": run.data_source,
        "error": error,
        "metadata": run.metadata,
    }


def _item_body(run: EvalRun, item: OutputItem) -> dict[str, object]:
    return {
        "object": "eval.run.output_item",
        "id": f"{_ITEM}{run.id.removeprefix('evalrun_')}_{item.number}",
        "created_at": int(item.created_at),
        "run_id": run.id,
        "eval_id": run.eval_id,
        "status": item.status,
        "datasource_item_id": item.number,
        "datasource_item": item.item,
        "results": item.results,
        "sample": item.sample,
    }


def _number(item_id: str, run_id: str) -> int:
    prefix = f"{_ITEM}{run_id.removeprefix('evalrun_')}_"
    number = item_id.removeprefix(prefix)
    if not item_id.startswith(prefix) or not number.isdecimal() or len(number) > 9:
        raise NotFound("there is no such output item", param="output_item_id")
    return int(number)


def _store(call: Call) -> EvalStore:
    return EvalStore(call.platform.database, call.platform.files.vault)


def _owner(call: Call) -> str | None:
    return None if call.principal.is_admin else call.principal.key_id
