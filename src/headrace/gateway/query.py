"""What stands behind the `?` of an address."""

from urllib.parse import parse_qsl

from headrace.errors import InvalidRequest

__all__ = ["Query"]


class Query:
    """The parameters of a list, in OpenAI's terms."""

    def __init__(self, raw: bytes) -> None:
        self._values = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))

    def text(self, name: str) -> str | None:
        return self._values.get(name) or None

    def mapping(self, name: str) -> dict[str, str]:
        """What is written as `name[key]=value`, by key."""
        begin = f"{name}["
        return {
            each[len(begin) : -1]: value
            for each, value in self._values.items()
            if each.startswith(begin) and each.endswith("]")
        }

    def limit(self, default: int, most: int) -> int:
        """
        Raises:
            InvalidRequest: it is no number, or out of range.
        """
        given = self._values.get("limit") or str(default)
        if not given.isdecimal() or not 1 <= int(given) <= most:
            raise InvalidRequest(f"'limit' is {given!r}; allowed: 1 to {most}", param="limit")
        return int(given)

    def newest_first(self) -> bool:
        """
        Raises:
            InvalidRequest: `order` is neither `asc` nor `desc`.
        """
        given = self._values.get("order") or "desc"
        if given not in ("asc", "desc"):
            raise InvalidRequest(f"'order' is {given!r}; allowed: asc, desc", param="order")
        return given == "desc"
