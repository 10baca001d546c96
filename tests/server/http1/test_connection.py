"""How one connection is used: bodies, order, keeping alive, clients that leave or crawl."""

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator

import pytest

from headrace.gateway.http import Exchange
from headrace.server.http1.limits import DISCARD_BYTES, Limits
from tests.running import wait_for
from tests.server.http1.site import Client, Echo, Site, get, post

HASTY = Limits(
    header_timeout_s=0.2, body_timeout_s=0.2, idle_timeout_s=0.3, write_timeout_s=0.3, connections=3
)
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextlib.contextmanager
def hasty(handler: Echo | None = None) -> Iterator[Site]:
    with Site.serving(handler or Echo(), HASTY) as site:
        yield site


def test_a_connection_answers_one_request_after_the_other(client: Client) -> None:
    for path in ("/a", "/b", "/c"):
        answer = client.ask(get(path, "User-Agent: me"))
        assert answer.json()["path"] == path
        assert answer.json()["agent"] == "me"
        assert "connection" not in answer.headers


def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    paths = [f"/{number}" for number in range(200)]
    client.send(b"".join(post(path, b"x" * 50) for path in paths))
    assert [client.answer().json()["path"] for _ in paths] == paths


def test_what_waits_behind_a_slow_answer_is_not_read_without_bound() -> None:
    echo = Echo()
    with Site.serving(echo) as site, site.client() as client:
        client.send(get("/wait"))
        echo.waiting.wait(10)
        flood = get("/next", "X: " + "a" * 10_000) * 4000
        # The kernel's buffers take some megabytes, then nothing more: the server does not read.
        client.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < len(flood):
                sent += client.socket.send(flood[sent : sent + 65536])
        assert len(echo.asked) == 1
        site.call(echo.go.set)


def test_a_wrong_request_in_a_pipeline_is_refused_after_the_right_ones_are_answered(
    client: Client,
) -> None:
    client.send(get("/a") + get("/b") + b"nonsense\r\n\r\n" + get("/c"))
    assert [client.answer().status for _ in range(3)] == [200, 200, 400]
    assert client.is_closed()


def test_a_chunked_body_comes_whole_and_the_next_request_behind_it_too(client: Client) -> None:
    body = b"3\r\nabc\r\n00a;x=y\r\n0123456789\r\n0\r\nX-Trailer: a\r\n\r\n"
    client.send(CHUNKED + body + get("/next"))
    assert client.answer().json()["size"] == 13
    assert client.answer().json()["path"] == "/next"


def test_a_large_body_comes_whole(echo: Echo, client: Client) -> None:
    body = bytes(range(256)) * 3000
    assert client.ask(post("/large", body)).json()["size"] == len(body)
    assert hashlib.sha256(echo.asked[-1][2]).digest() == hashlib.sha256(body).digest()


def test_a_handler_may_read_a_body_in_pieces(client: Client) -> None:
    assert client.ask(post("/pieces", b"x" * 5_000_000)).json() == {"size": 5_000_000}


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    answer = client.ask(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
    assert (answer.status, answer.code) == (413, "payload_too_large")


def test_a_body_that_turns_out_too_large_is_refused(client: Client) -> None:
    client.send(CHUNKED)
    for _ in range(12):
        client.send(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")
    assert client.answer().status == 413


def test_a_body_that_nobody_wanted_does_not_end_the_connection(client: Client) -> None:
    client.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    assert client.answer().body == b"unread"
    assert client.ask(b"12345" + get("/next")).json()["path"] == "/next"


def test_a_long_body_that_nobody_wanted_does(client: Client) -> None:
    length = DISCARD_BYTES + 70_000
    client.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
    answer = client.answer()
    assert (answer.body, answer.headers["connection"]) == (b"unread", "close")


def test_a_client_that_asks_first_is_told_to_go_on_when_the_body_is_wanted(client: Client) -> None:
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert client.read_some(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.ask(b"abc").json()["size"] == 3
    assert client.ask(get("/next")).status == 200


def test_a_client_that_asks_first_is_not_told_to_go_on_in_vain(client: Client) -> None:
    client.send(
        b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = client.answer()
    # It may send the body all the same or not: what comes next could be either.
    assert (answer.interim, answer.status, answer.headers["connection"]) == (0, 200, "close")
    assert client.is_closed()


def test_head_gets_the_head_only(client: Client) -> None:
    answer = client.ask(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", method="HEAD")
    assert int(answer.headers["content-length"]) > 0
    assert client.ask(b"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n", method="HEAD").status == 200
    assert client.ask(get("/next")).json()["path"] == "/next"


def test_a_stream_comes_in_chunks(client: Client) -> None:
    answer = client.ask(get("/stream"))
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\ndata: end\n\n"
    assert client.ask(get("/next")).status == 200


def test_http_1_0_is_answered_and_closed_unless_it_asks_to_stay(site: Site) -> None:
    with site.client() as client:
        assert client.ask(get("/x", version="1.0")).headers["connection"] == "close"
        assert client.is_closed()
    with site.client() as client:
        stay = get("/x", "Connection: keep-alive", version="1.0")
        assert client.ask(stay).headers["connection"] == "keep-alive"
        assert client.ask(get("/stream", version="1.0")).body.endswith(b"data: end\n\n")
        assert client.is_closed()


def test_connection_close_closes(client: Client) -> None:
    assert client.ask(get("/x", "Connection: close")).headers["connection"] == "close"
    assert client.is_closed()


def test_a_defect_is_a_500_and_in_mid_stream_a_broken_connection(
    site: Site, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.ask(get("/fail"))
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "a defect" not in answer.body.decode()
    assert client.ask(get("/next")).status == 200
    client.send(get("/stream/fail"))
    with pytest.raises((EOFError, ConnectionResetError)):
        client.answer()
    assert len([r for r in caplog.records if r.exc_info]) == 2


# Clients that leave.


def test_a_client_that_closes_ends_the_work_for_it() -> None:
    echo = Echo()
    with Site.serving(echo) as site:
        with site.client() as client:
            client.send(post("/wait", b"abc"))
            assert echo.waiting.wait(10)
        assert echo.cancelled.wait(10)


def test_a_client_that_closes_while_its_answer_streams_ends_the_work_for_it() -> None:
    echo = Echo()
    with Site.serving(echo) as site:
        with site.client() as client:
            client.send(get("/stream/endless")).read_some(1000)
        assert echo.cancelled.wait(10)


def test_a_client_that_closes_in_the_middle_of_its_body_ends_the_work_for_it() -> None:
    echo = Echo()
    with Site.serving(echo) as site:
        with site.client() as client:
            client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        assert echo.cancelled.wait(10)
        assert not echo.asked


@pytest.mark.parametrize("path", ["/wait", "/stream/wait"])
def test_a_client_that_only_stops_sending_still_gets_its_answer(path: str) -> None:
    echo = Echo()
    with Site.serving(echo) as site, site.client() as client:
        client.send(get(path) + get("/next"))
        client.socket.shutdown(socket.SHUT_WR)
        assert echo.waiting.wait(10)
        assert not echo.cancelled.wait(0.2)
        site.call(echo.go.set)
        assert client.answer().status == 200
        assert client.answer().json()["path"] == "/next"
        assert client.is_closed()


# Clients that crawl.


def test_a_head_that_does_not_end_is_given_up_with_408() -> None:
    with hasty() as site, site.client() as client:
        answer = client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert client.is_closed()


def test_a_head_that_comes_byte_by_byte_has_no_more_time_than_any_other() -> None:
    with hasty() as site, site.client() as client:
        reset = threading.Event()

        def drip() -> None:
            for byte in get("/", "X: " + "a" * 5000):
                try:
                    client.socket.sendall(bytes([byte]))
                except OSError:
                    return
                if reset.wait(0.02):
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert client.answer().status == 408
        reset.set()
        dripping.join()


@pytest.mark.parametrize("framing", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_given_up_with_408(framing: str) -> None:
    with hasty() as site, site.client() as client:
        answer = client.ask(b"POST /x HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n5" % framing.encode())
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"


def test_connections_without_a_request_are_closed_without_a_word() -> None:
    with hasty() as site, site.client() as fresh, site.client() as used:
        assert used.ask(get("/")).status == 200
        assert fresh.rest() == b""
        assert used.rest() == b""


def test_a_client_that_does_not_read_is_disconnected() -> None:
    echo = Echo()
    with hasty(echo) as site, site.client() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(get("/stream/endless"))
        assert echo.cancelled.wait(10)


def test_a_client_that_reads_slowly_is_not() -> None:
    echo = Echo()
    with Site.serving(echo, Limits(write_timeout_s=1.0)) as site, site.client() as client:
        client.send(get("/stream/endless"))
        for _ in range(40):
            client.read_some(100_000)
            assert not echo.cancelled.wait(0.04)


def test_an_answer_waits_for_a_client_that_does_not_read(site: Site, echo: Echo) -> None:
    before = echo.written
    with site.client() as client:
        client.send(get("/stream/endless"))
        wait_for(lambda: echo.written > before)
        seen = -1
        while seen != echo.written:
            seen = echo.written
            threading.Event().wait(0.1)
    # The kernel's buffers and ours, and no more.
    assert echo.written - before < 32_000_000


def test_one_client_too_many_gets_503() -> None:
    with hasty() as site, contextlib.ExitStack() as stack:
        for _ in range(HASTY.connections):
            assert stack.enter_context(site.client()).ask(get("/")).status == 200
        with site.client() as extra:
            answer = extra.answer()
            assert (answer.status, answer.code) == (503, "too_many_connections")


def test_a_client_that_does_not_read_gets_no_further_answers() -> None:
    """However many requests it has sent: each answer would only wait in memory."""
    asked = 0

    async def handler(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        exchange.respond(200, (), b"x" * 1_000_000)

    with Site.serving(handler) as site, site.client() as client:
        client.send(get("/") * 2000)
        seen = -1
        while seen != asked:
            seen = asked
            threading.Event().wait(0.1)
        assert 0 < asked < 50
        assert all(len(client.answer().body) == 1_000_000 for _ in range(100))


# Handlers.


def test_a_header_with_a_line_end_is_never_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [(b"location", b"/\r\nset-cookie: a=b")], b"")

    with Site.serving(handler) as site, site.client() as client:
        answer = client.ask(get("/"))
    assert answer.status == 500
    assert "set-cookie" not in answer.headers
    assert "line end" in caplog.text


def test_an_answer_that_is_never_given_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(exchange: Exchange) -> None:
        del exchange

    with Site.serving(handler) as site, site.client() as client:
        assert client.ask(get("/")).status == 500
    assert "has not answered" in caplog.text


def test_an_answer_shorter_than_it_said_breaks_the_connection() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.begin(200, (), length=10)
        exchange.end(b"short")

    with Site.serving(handler) as site, site.client() as client:
        client.send(get("/"))
        with pytest.raises((EOFError, ConnectionResetError)):
            client.answer()
