"""Reading what a provider sent, which may be anything."""

from typing import Final, TypeVar

import msgspec

from headrace.errors import ModelUnavailable

__all__ = ["UNREADABLE", "read_json", "unreadable"]

T = TypeVar("T")

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises: of another shape, no JSON, no UTF-8, or nested without end."""


def unreadable(provider: str, error: BaseException) -> ModelUnavailable:
    """The error for what is not the provider's protocol."""
    return ModelUnavailable(f"{provider} sent something unreadable: {error}")


def read_json(body: bytes, kind: type[T], provider: str) -> T:
    """A body as `kind`.

    Raises:
        ModelUnavailable: it is none.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise unreadable(provider, error) from error
