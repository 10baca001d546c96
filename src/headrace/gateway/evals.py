"""`/v1/evals`: evals, in OpenAI's shapes; their runs are in eval_runs.py.

The suites of the service's folder are evals too, for admins' keys: `evals/capitals.yaml` is
`eval_suite_capitals`.
"""

import asyncio
import os
from pathlib import Path

import msgspec

from headrace.errors import InvalidRequest, NotFound
from headrace.evaluation.scorer import Tools
from headrace.gateway.call import Call
from headrace.gateway.errors import MethodNotAllowed
from headrace.gateway.eval_runs import answer_item, answer_items, answer_run, answer_runs
from headrace.gateway.query import Query
from headrace.gateway.wire import decode
from headrace.workflows.evals.criterion import check_criteria
from headrace.workflows.evals.job import Criterion, Eval
from headrace.workflows.evals.store import EvalStore
from headrace.workflows.evals.suite import is_suite, suite_eval, suite_evals

__all__ = ["answer_eval", "answer_evals"]

_PATH = "/v1/evals/"


class _Create(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/evals`."""

    data_source_config: dict[str, object]
    testing_criteria: list[Criterion]
    name: str = ""
    metadata: dict[str, str] | None = None


class _Update(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/evals/{id}`."""

    name: str | None = None
    metadata: dict[str, str] | None = None


async def answer_evals(call: Call) -> None:
    """Make an eval, or list what there is.

    Raises:
        InvalidRequest: a criterion or a source that cannot be used here.
    """
    store = EvalStore(call.platform.database, call.platform.files.vault)
    if call.method == "POST":
        request, _ = decode(await call.body(), _Create)
        kind = request.data_source_config.get("type")
        if kind != "custom":
            raise InvalidRequest(
                f"'data_source_config.type' is {kind!r}; allowed: custom",
                hint="answers are not kept for evals: upload them as a file",
                param="data_source_config.type",
            )
        tools = Tools(root=call.platform.service.config.root, environ=os.environ)
        # It may read a policy or a schema of the folder.
        await asyncio.to_thread(check_criteria, request.testing_criteria, tools)
        made = await asyncio.to_thread(
            lambda: store.create(
                key_id=call.principal.key_id,
                name=request.name,
                data_source_config=_config(request.data_source_config),
                testing_criteria=request.testing_criteria,
                metadata=request.metadata,
            )
        )
        await call.respond(msgspec.json.encode(_eval_body(made)))
        return
    query = Query(call.query)
    found, has_more = await asyncio.to_thread(
        lambda: store.page(
            _owner(call),
            after=query.text("after"),
            limit=query.limit(20, 100),
            newest_first=(query.text("order") or "asc") == "desc",
            by=query.text("order_by") or "created_at",
        )
    )
    if call.principal.is_admin and not has_more and not is_suite(query.text("after") or ""):
        found += await asyncio.to_thread(suite_evals, _root(call), os.environ)
    body = {
        "object": "list",
        "data": [_eval_body(each) for each in found],
        "first_id": found[0].id if found else None,
        "last_id": found[-1].id if found else None,
        "has_more": has_more,
    }
    await call.respond(msgspec.json.encode(body))


async def answer_eval(call: Call) -> None:
    """One eval, or anything below it.

    Raises:
        NotFound: there is no such eval, or it is another key's.
    """
    eval_id, *rest = call.path.removeprefix(_PATH).split("/")
    found = await asyncio.to_thread(_found, call, eval_id)
    if rest:
        await _below(call, found, rest)
    elif call.method == "DELETE":
        store = EvalStore(call.platform.database, call.platform.files.vault)
        await asyncio.to_thread(store.delete, _own(found))
        body = {"object": "eval.deleted", "deleted": True, "eval_id": found.id}
        await call.respond(msgspec.json.encode(body))
    elif call.method == "POST":
        request, _ = decode(await call.body(), _Update)
        store = EvalStore(call.platform.database, call.platform.files.vault)
        own = _own(found)
        changed = await asyncio.to_thread(
            lambda: store.change(own, name=request.name, metadata=request.metadata)
        )
        await call.respond(msgspec.json.encode(_eval_body(changed)))
    else:
        await call.respond(msgspec.json.encode(_eval_body(found)))


async def _below(call: Call, found: Eval, rest: list[str]) -> None:
    match rest:
        case ["runs"]:
            _allow(call, "GET", "HEAD", "POST")
            await answer_runs(call, found)
        case ["runs", run_id]:
            await answer_run(call, found, run_id)
        case ["runs", run_id, "cancel"]:
            _allow(call, "POST")
            await answer_run(call, found, run_id)
        case ["runs", run_id, "output_items"]:
            _allow(call, "GET", "HEAD")
            await answer_items(call, found, run_id)
        case ["runs", run_id, "output_items", item_id]:
            _allow(call, "GET", "HEAD")
            await answer_item(call, found, run_id, item_id)
        case _:
            raise NotFound(f"there is nothing at {call.path}")


def _found(call: Call, eval_id: str) -> Eval:
    if is_suite(eval_id) and call.principal.is_admin:
        return suite_eval(eval_id, _root(call), os.environ)
    store = EvalStore(call.platform.database, call.platform.files.vault)
    return store.get(eval_id, _owner(call))


def _own(found: Eval) -> Eval:
    if is_suite(found.id):
        raise InvalidRequest("a suite is changed in its file, evals/*.yaml of the service's folder")
    return found


def _config(written: dict[str, object]) -> dict[str, object]:
    """As it is answered: with the schema of a whole row."""
    return {
        "type": "custom",
        "schema": {
            "type": "object",
            "properties": {
                "item": written.get("item_schema", {"type": "object"}),
                "sample": {"type": "object"},
            },
            "required": ["item"],
        },
    }


def _eval_body(found: Eval) -> dict[str, object]:
    return {
        "object": "eval",
        "id": found.id,
        "name": found.name,
        "created_at": int(found.created_at),
        "data_source_config": found.data_source_config,
        "testing_criteria": found.testing_criteria,
        "metadata": found.metadata,
    }


def _allow(call: Call, *methods: str) -> None:
    if call.method not in methods:
        raise MethodNotAllowed.at(call.path, call.method, *methods)


def _root(call: Call) -> Path:
    return call.platform.service.config.root


def _owner(call: Call) -> str | None:
    return None if call.principal.is_admin else call.principal.key_id
