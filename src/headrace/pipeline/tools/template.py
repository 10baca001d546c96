"""The address of an HTTP tool: fixed host, and places for arguments in path and query."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode

import msgspec

from headrace.models.http.address import Address
from headrace.pipeline.tools.errors import ToolFailed

__all__ = ["UrlTemplate"]

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"(https?://[^/?#\s]+)([^?#\s]*)(?:\?([^#\s]*))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UrlTemplate:
    """An address with places; where it leads to is never up to an argument."""

    address: Address
    path: str
    query: str
    names: tuple[str, ...]
    """The arguments that it takes."""

    @classmethod
    def read(cls, url: str) -> Self:
        """Raises ValueError for what is no address, or has a place in its host."""
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError("expected an http:// or https:// address without a fragment")
        if "{" in found[1]:
            raise ValueError("the host is fixed: arguments stand in path and query only")
        rest = found[2] + (found[3] or "")
        if set("{}") & set(_PLACE.sub("", rest)):
            raise ValueError("a place for an argument is written {name}")
        return cls(
            Address.of(found[1]),
            found[2] or "/",
            found[3] or "",
            tuple(dict.fromkeys(_PLACE.findall(rest))),
        )

    def filled(self, arguments: Mapping[str, object], *, rest_in_query: bool) -> str:
        """Path and query with the arguments in place.

        Args:
            rest_in_query: whether arguments without a place go into the query.

        Raises:
            ToolFailed: an argument is missing, or would change where the path leads.
        """

        def put(match: re.Match[str]) -> str:
            if match[1] not in arguments:
                raise ToolFailed(f"the argument {match[1]!r} is missing")
            return quote(_text(arguments[match[1]]), safe="")

        path = _PLACE.sub(put, self.path)
        if any(part in (".", "..") for part in path.split("/")):
            raise ToolFailed("an argument must not be a step in a path")
        query = _PLACE.sub(put, self.query)
        if rest_in_query:
            rest = [(k, _text(v)) for k, v in arguments.items() if k not in self.names]
            query = "&".join(filter(None, (query, urlencode(rest))))
        return f"{path}?{query}" if query else path


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
