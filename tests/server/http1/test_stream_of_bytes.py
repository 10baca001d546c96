"""What comes through a socket, in any cutting, and if it is no HTTP at all."""

import contextlib
import itertools
import socket

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.http1.site import Echo, Site, get

PATHS = st.sampled_from(["/", "/a", "/c/%E4%BD%A0?q=1", "/unread", "/pieces", "/stream"])
BODIES = st.binary(max_size=60)
REAL = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    path, body = draw(PATHS), draw(BODIES)
    if not body:
        return get(path)
    head = b"POST %b HTTP/1.1\r\nHost: a\r\n" % path.encode()
    if draw(st.booleans()):
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    middle = draw(st.integers(1, len(body)))
    chunks = [body[:middle], body[middle:]]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def answers(site: Site, packets: list[bytes], count: int) -> list[tuple[int, bytes]]:
    with site.client() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for packet in packets:
            client.send(packet)
        found = [client.answer() for _ in range(count)]
    return [(answer.status, answer.body) for answer in found]


@REAL
@given(
    wanted=st.lists(requests(), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 1500), max_size=12),
    blank=st.booleans(),
)
def test_answers_do_not_depend_on_where_packets_split(
    site: Site, wanted: list[bytes], cuts: list[int], blank: bool
) -> None:
    data = (b"\r\n" if blank else b"").join(wanted)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    packets = [data[a:b] for a, b in itertools.pairwise(edges)]
    one_by_one = [answers(site, [request], 1)[0] for request in wanted]
    assert answers(site, packets, len(wanted)) == one_by_one


FRAGMENTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n",
        b"\r\n", b"\r\n\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"abcde", b"\r", b"\n", b"\0", b" ",
        b"HTTP/1.0\r\n", b"Upgrade: h2c\r\n", b"HEAD /stream HTTP/1.1\r\n",
    ]
)  # fmt: skip


@REAL
@given(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=30)), max_size=20), st.booleans())
def test_garbage_harms_nobody(
    site: Site, echo: Echo, fragments: list[bytes], at_once: bool
) -> None:
    """It is answered or the connection ends once nothing more comes; others are served as before."""
    with site.client() as client:
        for packet in [b"".join(fragments)] if at_once else fragments:
            try:
                client.send(packet)
            except OSError:
                break
        with contextlib.suppress(OSError):
            client.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            client.rest()
    with site.client() as other:
        assert other.ask(get("/still")).status == 200
    echo.asked.clear()
