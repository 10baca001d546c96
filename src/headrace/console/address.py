"""Where the page shows a conversation: from its id to its address, and back."""

from urllib.parse import quote, unquote, urlsplit

from headrace.console.visit import Visit
from headrace.errors import InvalidRequest
from headrace.storage.errors import StateUnusable

__all__ = ["address_of", "conversation_at", "kept_address"]

_PREFIX = "/c/"


def address_of(conversation: str) -> str:
    """The address of the page that shows it."""
    return _PREFIX + quote(conversation, safe="")


def conversation_at(url: str) -> str | None:
    """The conversation that the page at this address shows; None for any other page."""
    path = urlsplit(url).path
    return unquote(path.removeprefix(_PREFIX)) if path.startswith(_PREFIX) else None


async def kept_address(visit: Visit, conversation: str | None) -> str:
    """The address, if the reader can come back to this conversation; else empty.

    A question that failed may have left none, and a pipeline without `ground` keeps none at all.
    After a turn this costs no read: the store still holds what it has just remembered.
    """
    if not conversation:
        return ""
    try:
        history = await visit.platform.conversations.history(visit.principal.key_id, conversation)
    except (InvalidRequest, StateUnusable):
        return ""  # the answer is there all the same; only its page keeps the address it has
    return address_of(conversation) if history.exists else ""
