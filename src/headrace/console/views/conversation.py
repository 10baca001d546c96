"""The reader's conversations: listed, renamed, deleted."""

import time
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response

from headrace.console.address import address_of, conversation_at
from headrace.console.form import read_form
from headrace.console.visit import Visit
from headrace.errors import InvalidRequest, NotFound

__all__ = [
    "Entry",
    "delete_conversation",
    "entries",
    "list_conversations",
    "rename_conversation",
    "show_rename",
]

_DAY_S = 86_400
_FORM_BYTES = 16 * 1024
_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """A conversation in the list."""

    id: str
    title: str
    age: str
    """Its heading: `day`, `week` or `older`. Ages, not dates: the reader's time zone is unknown."""

    @property
    def address(self) -> str:
        return address_of(self.id)

    @property
    def actions(self) -> str:
        return f"/conversations/{quote(self.id, safe='')}"


async def entries(visit: Visit) -> list[Entry]:
    """The reader's conversations, the one used last first."""
    found = await visit.platform.conversations.list(visit.principal.key_id)
    now = time.time()
    return [Entry(each.id, each.title, _age(now - each.updated_at)) for each in found]


async def list_conversations(visit: Visit) -> Response:
    """The list as a part of the page; `open` is the conversation that the page shows."""
    return visit.page(
        "parts/conversations.html",
        conversations=await entries(visit),
        conversation=visit.request.query_params.get("open"),
    )


async def show_rename(visit: Visit) -> Response:
    """A field for the new name, in the conversation's place in the list."""
    return visit.page("parts/rename.html", item=await _entry(visit))


async def rename_conversation(visit: Visit) -> Response:
    """Give the conversation another name."""
    title = (await read_form(visit.request, limit=_FORM_BYTES)).get("title", "").strip()
    if not title or len(title) > _TITLE_CHARS:
        raise InvalidRequest(
            f"a name has 1 to {_TITLE_CHARS} characters, this one has {len(title)}", param="title"
        )
    item = await _entry(visit)
    await visit.platform.conversations.rename(visit.principal.key_id, item.id, title)
    return visit.page(
        "parts/conversation.html",
        item=Entry(item.id, title, item.age),
        conversation=_open_in(visit),
    )


async def delete_conversation(visit: Visit) -> Response:
    """Delete it for good; a page that shows it goes back to the start."""
    item = await _entry(visit)
    await visit.platform.conversations.delete(visit.principal.key_id, item.id)
    is_open = _open_in(visit) == item.id
    headers = {"hx-redirect": "/"} if is_open else {"hx-trigger": "conversations-changed"}
    return Response(status_code=204, headers=headers)


async def _entry(visit: Visit) -> Entry:
    """The conversation that the address names.

    Raises:
        NotFound: the reader has no such conversation.
    """
    wanted = visit.request.path_params["conversation"]
    for each in await entries(visit):
        if each.id == wanted:
            return each
    raise NotFound("this conversation does not exist (any more)", hint="reload the page")


def _open_in(visit: Visit) -> str | None:
    """The conversation that the asking page shows, by the address that htmx sends."""
    return conversation_at(visit.request.headers.get("hx-current-url", ""))


def _age(seconds: float) -> str:
    return "day" if seconds < _DAY_S else "week" if seconds < 7 * _DAY_S else "older"
