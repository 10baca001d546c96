"""A request's head: from its bytes to what it says, or to the reason why it is refused.

llhttp (through httptools) does the reading and refuses by itself: Content-Length beside
Transfer-Encoding, a second or malformed Content-Length, folded lines, white space before a colon,
bare CR or LF, NUL and control characters, unknown methods. What it lets pass and this module does
not: codings before `chunked`, Transfer-Encoding in HTTP/1.0, no or several Host, HTTP/0.9 and 2.0,
RTSP, whole URLs as the address, more than one space in the request line.
"""

import re

import httptools

from headrace.gateway.http import Headers
from headrace.server.http1.errors import (
    ExpectationFailed,
    HeadersTooLarge,
    MalformedRequest,
    UpgradeUnsupported,
    UriTooLong,
    VersionUnsupported,
)
from headrace.server.http1.limits import MOST_HEADERS, Limits
from headrace.server.http1.target import split_target

__all__ = ["HeadReader", "Request", "check_beginning", "read_head"]

_METHODS = {b"POST": "POST", b"GET": "GET", b"HEAD": "HEAD"}
_VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")
_ONCE = (b"host", b"authorization", b"content-type", b"expect")
"""Headers that change what a request means, and are not lists."""
_LENGTH = b"\r\nContent-Length: "
"""As httpx, requests, Go and Java write it; Node writes the other. What is written in yet another
way is parsed each time."""
_LENGTH_SMALL = _LENGTH.lower()
_MOST_DIGITS = 15
_BARE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)(?!\Z)")
_REQUEST_LINE = re.compile(rb"(?:[A-Z-]{1,20}(?: (?:[\x21-\x7e]+(?: [A-Z0-9/.]*)?)?)?)?")


class Request:
    """What a head says. Shared by requests with the same head, so nobody changes it."""

    __slots__ = (
        "expects_continue", "headers", "is_chunked", "is_http_1_1", "keeps_alive", "length",
        "method", "path", "query",
    )  # fmt: skip

    def __init__(self, method: str, path: str, query: bytes, headers: Headers) -> None:
        self.method = method
        self.path = path
        """Still escaped."""
        self.query = query
        self.headers = headers
        self.is_http_1_1 = True
        self.keeps_alive = True
        self.length = 0
        """Bytes of the body; 0 also where it is chunked."""
        self.is_chunked = False
        self.expects_continue = False


class HeadReader:
    """Reads the heads of one connection.

    A client's heads are the same again and again, but for the length of the body. So what surrounds
    that number is compared with the last head, and only what differs is parsed: 0.5 us instead of 6.
    """

    __slots__ = ("_after", "_before", "_request")

    def __init__(self) -> None:
        self._before = b""
        self._after = b""
        self._request: Request | None = None

    def read(self, head: bytes, limits: Limits) -> tuple[Request, int]:
        """The request and the length of its body. Raises as `read_head`."""
        begin = head.find(_LENGTH)
        if begin < 0:
            begin = head.find(_LENGTH_SMALL)
        begin += len(_LENGTH)
        if begin < len(_LENGTH):
            before, after, length = head, b"", 0
        else:
            end = head.find(b"\r\n", begin)
            digits = head[begin:end]
            if not digits.isdigit() or len(digits) > _MOST_DIGITS:
                return _with_length(read_head(head, limits))
            before, after, length = head[:begin], head[end:], int(digits)
        if self._request is not None and before == self._before and after == self._after:
            return self._request, length
        request = read_head(head, limits)
        if request.length == length:  # else it is written in another way (`content-length:  5`)
            self._before, self._after, self._request = before, after, request
        return _with_length(request)


def _with_length(request: Request) -> tuple[Request, int]:
    return request, request.length


class _Collected(list[tuple[bytes, bytes]]):
    """Takes the headers from httptools."""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.append((name.lower(), value))


def read_head(head: bytes, limits: Limits) -> Request:
    """The request that a head (up to and including its empty line) makes.

    Raises:
        MalformedRequest, UriTooLong, HeadersTooLarge, ExpectationFailed, UpgradeUnsupported,
        VersionUnsupported: why it is refused.
    """
    line = head[: head.index(b"\r\n")]
    method, target, is_http_1_1 = _request_line(line, limits)
    if len(head) > limits.header_bytes:
        raise too_large(limits)
    collected = _Collected()
    try:
        httptools.HttpRequestParser(collected).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # answered as if it had not asked, or refused below
    except httptools.HttpParserError as error:
        raise MalformedRequest(f"the request is not HTTP/1.1: {_reason(error)}") from None
    if len(collected) > MOST_HEADERS:
        raise HeadersTooLarge(f"the request has more than {MOST_HEADERS} headers")
    path, query = split_target(target)
    request = Request(
        _METHODS.get(method) or method.decode("ascii"), path, query, Headers(collected)
    )
    request.is_http_1_1 = is_http_1_1
    _understand(request)
    return request


def _request_line(line: bytes, limits: Limits) -> tuple[bytes, bytes, bool]:
    parts = line.split(b" ")
    if len(parts) != 3:
        if len(line) > limits.uri_bytes + 32:
            raise _uri_too_long(limits)
        raise MalformedRequest("the request line is not `METHOD /path HTTP/1.1`")
    method, target, version = parts
    if len(target) > limits.uri_bytes:
        raise _uri_too_long(limits)
    is_http_1_1 = _VERSIONS.get(version)
    if is_http_1_1 is None:
        if version.startswith(b"HTTP/"):
            raise VersionUnsupported(
                "this service speaks HTTP/1.1 (and 1.0)",
                hint="a proxy in front can offer HTTP/2 and 3",
            )
        raise MalformedRequest("the request line does not end in `HTTP/1.1`")
    return method, target, is_http_1_1


def _understand(request: Request) -> None:
    """Take from the headers what decides about the connection and the body."""
    fields = request.headers.last
    if len(fields) != len(request.headers.raw):
        _check_once(request.headers)
    host = fields.get(b"host")
    if host is None:
        if request.is_http_1_1:
            raise MalformedRequest("the header `host` is missing")
    elif not _HOST.fullmatch(host):
        raise MalformedRequest("the header `host` is not a host's name")
    length = fields.get(b"content-length")
    if length is not None:
        request.length = int(length)  # digits only: llhttp refuses all else
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or not request.is_http_1_1:
            raise MalformedRequest(
                "the transfer-encoding is not understood", hint="send `chunked`, or a length"
            )
        request.is_chunked = True
    connection = fields.get(b"connection")
    if connection is None:
        request.keeps_alive = request.is_http_1_1
    else:
        _understand_connection(request, connection.lower())
    expectation = fields.get(b"expect")
    if expectation is not None and request.is_http_1_1:
        if expectation.lower() != b"100-continue":
            raise ExpectationFailed("the header `expect` may only say 100-continue")
        request.expects_continue = True


def _understand_connection(request: Request, connection: bytes) -> None:
    if connection == b"keep-alive":
        return
    options = {option.strip() for option in connection.split(b",")}
    if b"close" in options or not request.is_http_1_1:
        request.keeps_alive = b"keep-alive" in options and b"close" not in options
    # HTTP/2 without TLS is offered with every first request by Java's own client; who offers it
    # takes an answer in HTTP/1.1 as well. Who wants a WebSocket could do nothing with one.
    wanted = request.headers.last.get(b"upgrade", b"").lower()
    if b"upgrade" in options and wanted not in (b"", b"h2c"):
        raise UpgradeUnsupported(
            "this service does not change protocols", hint="answers stream as server-sent events"
        )


def _check_once(headers: Headers) -> None:
    names = [name for name, _ in headers.raw]
    for name in _ONCE:
        if names.count(name) > 1:
            raise MalformedRequest(f"the header `{name.decode()}` is there more than once")


def check_beginning(beginning: bytes, limits: Limits) -> None:
    """Refuse at once what cannot become a head any more, instead of waiting for its end.

    Raises:
        MalformedRequest, UriTooLong, HeadersTooLarge
    """
    line, ended, _ = beginning.partition(b"\r\n")
    if ended:
        _request_line(line, limits)
    elif len(line) > limits.uri_bytes + 32:
        raise _uri_too_long(limits)
    elif not _REQUEST_LINE.fullmatch(line.removesuffix(b"\r")):
        raise MalformedRequest("this is not HTTP/1.1", hint="is it TLS, on a port without?")
    if _BARE_LINE_END.search(beginning):
        raise MalformedRequest("lines end in CR LF, both of them")
    if len(beginning) > limits.header_bytes:
        raise too_large(limits)


def too_large(limits: Limits) -> HeadersTooLarge:
    """What is said about a head that is longer than allowed."""
    return HeadersTooLarge(
        f"the request's head is larger than {limits.header_bytes:,} bytes",
        hint="send fewer or shorter headers, or raise server.max_header_bytes",
    )


def _uri_too_long(limits: Limits) -> UriTooLong:
    return UriTooLong(
        f"the address is longer than {limits.uri_bytes:,} bytes", hint="send data in the body"
    )


def _reason(error: httptools.HttpParserError) -> str:
    """llhttp's words, which never quote what was sent."""
    return str(error.args[0]).strip().lower() if error.args else "unreadable"
