"""`/v1/batches`: create, list, look at and cancel, in OpenAI's shapes."""

import asyncio

import msgspec

from headrace.errors import NotFound
from headrace.gateway.call import Call
from headrace.gateway.errors import MethodNotAllowed
from headrace.gateway.query import Query
from headrace.gateway.wire import decode
from headrace.workflows.batch.job import Batch
from headrace.workflows.batch.store import BatchStore

__all__ = ["answer_batch", "answer_batches", "batch_body"]

_PATH = "/v1/batches/"


class _Create(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/batches`."""

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None


async def answer_batches(call: Call) -> None:
    """Make a batch, or list what there is.

    Raises:
        NotFound: there is no such input file.
        InvalidRequest: an endpoint or a window that there is not.
    """
    store = BatchStore(call.platform.database)
    if call.method == "POST":
        request, _ = decode(await call.body(), _Create)
        await asyncio.to_thread(call.platform.files.get, request.input_file_id, _owner(call))
        batch = await asyncio.to_thread(
            lambda: store.create(
                key_id=call.principal.key_id,
                endpoint=request.endpoint,
                input_file_id=request.input_file_id,
                completion_window=request.completion_window,
                metadata=request.metadata,
            )
        )
        await _respond(call, batch)
        return
    query = Query(call.query)
    found, has_more = await asyncio.to_thread(
        lambda: store.page(_owner(call), after=query.text("after"), limit=query.limit(20, 100))
    )
    await call.respond(
        msgspec.json.encode(
            {
                "object": "list",
                "data": [batch_body(each) for each in found],
                "first_id": found[0].id if found else None,
                "last_id": found[-1].id if found else None,
                "has_more": has_more,
            }
        )
    )


async def answer_batch(call: Call) -> None:
    """One batch, or its cancellation.

    Raises:
        NotFound: there is no such batch, or it is another key's.
        InvalidRequest: it has ended already.
    """
    batch_id, _, rest = call.path.removeprefix(_PATH).partition("/")
    store = BatchStore(call.platform.database)
    if rest == "cancel":
        if call.method != "POST":
            raise MethodNotAllowed.at(call.path, call.method, "POST")
        await _respond(call, await asyncio.to_thread(store.cancel, batch_id, _owner(call)))
        return
    if rest:
        raise NotFound(f"there is nothing at {call.path}")
    if call.method == "POST":
        raise MethodNotAllowed.at(call.path, call.method, "GET")
    await _respond(call, await asyncio.to_thread(store.get, batch_id, _owner(call)))


async def _respond(call: Call, batch: Batch) -> None:
    await call.respond(msgspec.json.encode(batch_body(batch)))


def batch_body(batch: Batch) -> dict[str, object]:
    """A batch in OpenAI's shape."""
    problems = [msgspec.structs.asdict(each) for each in batch.problems]
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": {"object": "list", "data": problems} if problems else None,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": int(batch.created_at),
        "in_progress_at": _second(batch.in_progress_at),
        "expires_at": int(batch.expires_at),
        "finalizing_at": _second(batch.finalizing_at),
        "completed_at": _second(batch.completed_at),
        "failed_at": _second(batch.failed_at),
        "expired_at": _second(batch.expired_at),
        "cancelling_at": _second(batch.cancelling_at),
        "cancelled_at": _second(batch.cancelled_at),
        "request_counts": {
            "total": batch.counts.total,
            "completed": batch.counts.completed,
            "failed": batch.counts.failed,
        },
        "usage": {
            "input_tokens": batch.prompt_tokens,
            "output_tokens": batch.completion_tokens,
            "total_tokens": batch.prompt_tokens + batch.completion_tokens,
        },
        "metadata": batch.metadata,
    }


def _second(at: float | None) -> int | None:
    return None if at is None else int(at)


def _owner(call: Call) -> str | None:
    return None if call.principal.is_admin else call.principal.key_id
