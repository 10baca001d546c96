"""Exchanges that are answered while they are being started, without a task."""

from headrace.server.http1.exchange import HttpExchange
from tests.server.http1.site import Echo, Site, get, post


def at_once(exchange: HttpExchange) -> bool:
    """Answers all but what is for the handler."""
    if exchange.path.startswith("/task"):
        return False
    exchange.respond(200, (), exchange.path.encode())
    return True


def test_any_number_of_pipelined_requests_is_answered_in_order() -> None:
    """Each answer starts the next request; that must not nest."""
    with Site.serving(Echo(), relay=at_once) as site, site.client() as client:
        paths = [f"/{number}" for number in range(5000)]
        client.send(b"".join(get(path) for path in paths))
        assert [client.answer().body.decode() for _ in paths] == paths


def test_they_keep_their_place_among_those_with_a_task() -> None:
    with Site.serving(Echo(), relay=at_once) as site, site.client() as client:
        client.send(get("/a") + post("/task", b"abc") + post("/b", b"x" * 10) + get("/task/2"))
        assert client.answer().body == b"/a"
        assert client.answer().json()["size"] == 3
        assert client.answer().body == b"/b"
        assert client.answer().json()["path"] == "/task/2"


def test_a_body_that_is_still_coming_is_thrown_away() -> None:
    with Site.serving(Echo(), relay=at_once) as site, site.client() as client:
        client.send(post("/a", b"x" * 1000)[:-1])
        assert client.answer().body == b"/a"
        assert client.ask(b"x" + get("/b")).body == b"/b"
