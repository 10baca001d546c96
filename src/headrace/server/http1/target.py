"""The address in a request line: only what everybody on the way reads as the same place.

A proxy in front may allow and deny by path. An address that it and this service could understand
differently (`/v1/../metrics`, `/v1/%2e%2e/metrics`, `//v1/models`) is refused instead of repaired.

Not covered: what a path means. `%2F` inside a segment is data (a name with a slash in it), and a
segment that has it never matches an address of the API.
"""

import re

from headrace.server.http1.errors import MalformedRequest

__all__ = ["split_target"]

_SUSPICIOUS = re.compile(rb"%|//|/\.|\\|#")
_DOT_SEGMENT = re.compile(rb"/\.{1,2}(?:/|$)")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NEEDLESS_ESCAPE = re.compile(
    # Letters, digits, `-`, `.` and `_` never need an escape: whoever writes one wants to pass a
    # filter. (`~` is left alone: older encoders, Java's among them, write it as %7E.)
    rb"%(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])"
)
_CONTROL_ESCAPE = re.compile(rb"%(?:[01][0-9a-fA-F]|7[fF])")


def split_target(target: bytes) -> tuple[str, bytes]:
    """The path, still escaped, and the query.

    Raises:
        MalformedRequest: not an absolute path, or one that may be read in two ways.
    """
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/"):
        raise MalformedRequest(
            "the request line holds no path that starts with `/`",
            hint="this is no proxy: send the path and the header `host`, not a whole URL",
        )
    if _SUSPICIOUS.search(path):
        _check(path)
    return path.decode("ascii"), query


def _check(path: bytes) -> None:
    if b"//" in path or b"\\" in path or b"#" in path:
        raise _ambiguous("it holds `//`, `\\` or `#`")
    if _DOT_SEGMENT.search(path):
        raise _ambiguous("it holds `.` or `..` as a segment")
    if _BAD_ESCAPE.search(path):
        raise _ambiguous("it holds a `%` without two hexadecimal digits")
    if _NEEDLESS_ESCAPE.search(path) or _CONTROL_ESCAPE.search(path):
        raise _ambiguous("it escapes a character that needs no escape, or a control character")


def _ambiguous(why: str) -> MalformedRequest:
    return MalformedRequest(
        f"the path may be read in more than one way: {why}", hint="send the plain path"
    )
