"""E-mail addresses."""

from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["EmailDetector"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_DOMAIN = _LETTERS + ".-"
_LOCAL = _DOMAIN + "_%+'"
_LONGEST_LOCAL = 64  # RFC 5321 §4.5.3.1.1
_LONGEST_DOMAIN = 254
_FILE_ENDINGS = frozenset(
    {"css", "gif", "gz", "html", "ico", "jpeg", "jpg", "js", "json", "pdf", "png", "svg", "tar"}
    | {"ts", "tsx", "txt", "webp", "yaml", "yml"}
)
"""`logo@2x.png` is a picture, `app@latest.js` a file."""


class EmailDetector:
    """Finds addresses such as `ann.lee+news@mail.example.co.uk`.

    Does not catch: quoted local parts (`"ann lee"@…`), addresses with non-ASCII letters on either
    side, hosts without a dot (`root@localhost`), addresses in words (`ann at example dot com`).
    """

    name = "email"
    kinds = ("email",)
    languages = ("any",)
    cost_us = 1
    window = _LONGEST_LOCAL + 1 + _LONGEST_DOMAIN + 1

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        at = text.find("@", start + 1)
        while at > 0:
            local_from = at - len(_trailing(text, at, _LOCAL, _LONGEST_LOCAL + 1))
            begin = max(local_from, floor)
            if begin < at and at - local_from <= _LONGEST_LOCAL:
                end = _domain_end(text, at + 1)
                if end and not (text[begin:at] == "git" and text[end : end + 1] == ":"):
                    yield Span("email", begin, end)
                    floor = end
            at = text.find("@", max(at + 1, floor))

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if not size or (text[-1] not in _LOCAL and text[-1] != "@"):
            return size
        at = size - len(_trailing(text, size, _DOMAIN, _LONGEST_DOMAIN + 1)) - 1
        if at >= start and text[at] == "@" and size - at - 1 <= _LONGEST_DOMAIN:
            local = len(_trailing(text, at, _LOCAL, _LONGEST_LOCAL + 1))
            if 0 < local <= _LONGEST_LOCAL:
                return max(start, at - local)
        local = len(_trailing(text, size, _LOCAL, _LONGEST_LOCAL + 1))
        return max(start, size - local) if local <= _LONGEST_LOCAL else size


def _trailing(text: str, end: int, letters: str, limit: int) -> str:
    """The run of `letters` just before `end`, at most `limit` long."""
    tail = text[max(0, end - limit) : end]
    return tail[len(tail.rstrip(letters)) :]


def _domain_end(text: str, begin: int) -> int:
    """Where the domain that begins here ends; 0 when there is none."""
    tail = text[begin : begin + _LONGEST_DOMAIN + 1]
    domain = tail[: len(tail) - len(tail.lstrip(_DOMAIN))]
    if len(domain) > _LONGEST_DOMAIN:
        return 0
    domain = domain.partition("..")[0].rstrip(".-")
    labels = domain.split(".")
    top = labels[-1]
    if len(labels) < 2 or not 2 <= len(top) <= 24 or top.lower() in _FILE_ENDINGS:
        return 0
    if not (top.isalpha() or top.startswith("xn--")):
        return 0
    if any(not label or len(label) > 63 or label[0] == "-" or label[-1] == "-" for label in labels):
        return 0
    return begin + len(domain)
