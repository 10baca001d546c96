"""The audit log: who changed what is served and who may ask, when and why, and whether that is all.

For administrators. It shows and proves the log; nothing on the page can change it.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from headrace.access.audit import ACTIONS
from headrace.console.visit import Visit
from headrace.errors import InvalidRequest, PermissionDenied

__all__ = ["show_audit"]

_PAGE = 50
_FILTERS = ("action", "who", "since", "until")
_LAST_DAY = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
"""That has a day after it."""


async def show_audit(visit: Visit) -> Response:
    """The changes that fit, newest first; on the first page also whether the chain holds."""
    if not visit.principal.is_admin:
        raise PermissionDenied(
            "the audit log is for administrators", hint="sign in with an admin key"
        )
    query = visit.request.query_params
    log = visit.platform.audit
    since, until = _day(query, "since"), _day(query, "until")
    before = _number(query, "before")
    entries = await asyncio.to_thread(
        lambda: log.list(
            limit=_PAGE + 1,
            before=before,
            action=query.get("action") or None,
            who=query.get("who", "").strip() or None,
            since=None if since is None else since.timestamp(),
            until=None if until is None else (until + timedelta(days=1)).timestamp(),
        )
    )
    shown = entries[:_PAGE]
    return visit.page(
        "audit.html",
        entries=[(each, _pretty(each.evidence)) for each in shown],
        checked=await asyncio.to_thread(log.verify) if before is None else None,
        actions=ACTIONS,
        asked={name: query.get(name, "") for name in _FILTERS},
        older=shown[-1].number if len(entries) > _PAGE else 0,
    )


def _day(query: QueryParams, name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidRequest(f"{name} is no day such as 2026-11-25", param=name) from error
    return min(day, _LAST_DAY)


def _number(query: QueryParams, name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # as many as the column holds
        raise InvalidRequest(f"{name} is no number of an entry", param=name)
    return int(text)


def _pretty(evidence: dict[str, object]) -> str:
    return msgspec.json.format(msgspec.json.encode(evidence)).decode() if evidence else ""
