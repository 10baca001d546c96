"""What the front door takes for a request, and what it refuses with which words."""

import pytest

from tests.server.http1.site import Client, Site, get, post

HOST = b"POST /x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n\r\n"

SMUGGLED = {
    "length and coding": HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "list of lengths": HOST + b"Content-Length: 3, 3\r\n\r\nabc",
    "length with a plus": HOST + b"Content-Length: +3\r\n\r\nabc",
    "negative length": HOST + b"Content-Length: -3\r\n\r\nabc",
    "empty length": HOST + b"Content-Length: \r\n\r\n",
    "endless length": HOST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "folded line": HOST + b"X: a\r\n b\r\n\r\n",
    "line folded by a tab": HOST + b"X: a\r\n\tb\r\n\r\n",
    "folded first line": b"POST /x HTTP/1.1\r\n Host: a\r\n\r\n",
    "space before the colon": HOST + b"Content-Length : 3\r\n\r\nabc",
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in a header": HOST + b"X: a\nY: b\r\n\r\n",
    "bare CR in a header": HOST + b"X: a\rContent-Length: 3\r\n\r\n",
    "NUL in a value": HOST + b"X: a\0b\r\n\r\n",
    "NUL in a name": HOST + b"X\0: a\r\n\r\n",
    "control in a value": HOST + b"X: a\x01b\r\n\r\n",
    "parenthesis in a name": HOST + b"X(a): b\r\n\r\n",
    "no name": HOST + b": a\r\n\r\n",
    "no colon": HOST + b"X\r\n\r\n",
    "other coding": HOST + b"Transfer-Encoding: gzip\r\n\r\n",
    "coding before chunked": HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding after chunked": HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "nearly chunked": HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked behind a tabulator": HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "identity": HOST + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked twice": HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked in 1.0": b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a path as host": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "two keys": HOST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "whole URL": b"GET http://a/v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "tunnel": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in the path": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in the line": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "small method": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown method": b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n",
    "other protocol": b"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
    "fragment": b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes beyond ASCII in the path": "GET /ü HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "chunk size with a sign": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size with a space": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "endless chunk size": CHUNKED + b"fffffffffffffffff\r\nabc",
    "no chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "chunk size with bare LF": CHUNKED + b"3\nabc\n0\n\n",
    "extension with bare LF": CHUNKED + b"3;a\nabc\r\n0\r\n\r\n",
    "long extension": CHUNKED + b"3;" + b"a" * 300 + b"\r\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "length as a trailer": CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 4\r\n\r\n",
    "long trailer": CHUNKED + b"0\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    "framing without content": CHUNKED + b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * 3000,
}


@pytest.mark.parametrize("data", SMUGGLED.values(), ids=SMUGGLED)
def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    client: Client, data: bytes
) -> None:
    answer = client.ask(data)
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert answer.headers["connection"] == "close"
    client.send(get("/after"))
    assert client.is_closed()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../metrics", "/v1/..", "/v1/./models", "/.", "//v1/models", "/v1//models",
        "/v1/%2e%2e/metrics", "/v1/%2E./metrics", "/%76%31/models", "/v1/mode%6Cs", "/a%00b",
        "/a%0d%0ab", "/a%zz", "/a%2", "/a\\b", "v1/models",
    ],
)  # fmt: skip
def test_a_path_that_a_proxy_may_read_differently_is_refused(client: Client, path: str) -> None:
    assert client.ask(get(path)).code == "malformed_request"


@pytest.mark.parametrize(
    "path", ["/", "/c/a%2Fb", "/c/..%2Fx", "/a.b/.well-known/x", "/c/%E4%BD%A0", "/a%20b/%7Eada"]
)
def test_a_plain_path_comes_as_it_was_sent(client: Client, path: str) -> None:
    answer = client.ask(get(path + "?a=%2e%2e&b=//"))
    assert answer.json()["path"] == path
    assert answer.json()["query"] == "a=%2e%2e&b=//"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (get("/" + "a" * 9000), 414, "uri_too_long"),
        (b"GET /" + b"a" * 9000, 414, "uri_too_long"),
        (get("/", "X: " + "a" * 33_000), 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 33_000, 431, "headers_too_large"),
        (get("/", *["X: a"] * 130), 431, "headers_too_large"),
        (post("/x", b"abc", "Expect: tea"), 417, "expectation_failed"),
        (
            get("/", "Connection: Upgrade", "Upgrade: websocket"),
            501,
            "upgrade_unsupported",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version_unsupported"),
        (get("/", version="2.0"), 505, "http_version_unsupported"),
        (get("/", version="0.9"), 505, "http_version_unsupported"),
    ],
)
def test_what_is_too_much_or_not_spoken_has_its_own_status(
    client: Client, data: bytes, status: int, code: str
) -> None:
    answer = client.ask(data)
    assert (answer.status, answer.code) == (status, code)
    assert client.is_closed()


def test_a_client_that_offers_http_2_is_answered_in_http_1(client: Client) -> None:
    """As Java's own client does with its first request."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    assert client.ask(post("/x", b"abc", *offer)).json()["size"] == 3
    assert client.ask(get("/again")).status == 200


def test_empty_lines_before_a_request_are_skipped(client: Client) -> None:
    assert client.ask(b"\r\n" + get("/a")).status == 200
    assert client.ask(b"\r\n\r\n" + get("/b")).json()["path"] == "/b"


def test_a_refusal_is_openais_error_object(client: Client) -> None:
    answer = client.ask(b"GET / HTTP/1.1\r\n\r\n")
    error = answer.json()["error"]
    assert isinstance(error, dict)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert answer.headers["content-type"] == "application/json"
    assert "date" in answer.headers


def test_a_refused_client_that_is_still_sending_can_read_why(site: Site) -> None:
    with site.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        for _ in range(50):
            client.send(b"x" * 65536)
        assert client.answer().status == 400
