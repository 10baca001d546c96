"""Stopping: nobody is turned away who was let in, and nobody holds it up."""

import socket
import struct

import pytest

from tests.running import wait_for
from tests.server.http1.site import Client, Echo, Site, get


def refuses(site: Site) -> bool:
    try:
        site.client().socket.close()
    except OSError:
        return True
    return False


def test_a_running_answer_ends_while_nobody_new_is_accepted() -> None:
    echo = Echo()
    with Site.serving(echo) as site, site.client() as busy, site.client() as idle:
        assert idle.ask(get("/")).status == 200
        busy.send(get("/wait"))
        assert echo.waiting.wait(10)
        site.stop()
        assert idle.is_closed()
        wait_for(lambda: refuses(site))
        site.call(echo.go.set)
        answer = busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert busy.is_closed()


def test_a_request_whose_head_is_on_its_way_is_still_answered() -> None:
    with Site.serving(Echo()) as site, site.client() as client:
        client.send(get("/a")[:-3])
        with site.client() as other:
            assert other.ask(get("/")).status == 200  # so the server has seen the first one too
        site.stop()
        wait_for(lambda: refuses(site))
        answer = client.ask(get("/a")[-3:])
        assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_what_lasts_too_long_is_cut_off_with_503() -> None:
    echo = Echo()
    with Site.serving(echo, drain_s=0.1) as site, site.client() as client:
        client.send(get("/wait"))
        assert echo.waiting.wait(10)
        site.stop()
        answer = client.answer()
        assert (answer.status, answer.code) == (503, "service_stopping")
        assert echo.cancelled.is_set()


def test_a_stream_that_lasts_too_long_is_broken_off() -> None:
    echo = Echo()
    with Site.serving(echo, drain_s=0.1) as site, site.client() as client:
        client.send(get("/stream/wait"))
        assert echo.waiting.wait(10)
        site.stop()
        with pytest.raises((EOFError, ConnectionResetError)):
            client.answer()
        assert echo.cancelled.is_set()


def test_a_second_call_does_not_wait() -> None:
    echo = Echo()
    with Site.serving(echo, drain_s=60) as site, site.client() as client:
        client.send(get("/wait"))
        assert echo.waiting.wait(10)
        site.stop()
        wait_for(lambda: refuses(site))
        site.call(site.server.stop_at_once)
        assert client.answer().status == 503


def test_a_client_in_the_kernels_queue_is_answered() -> None:
    """It has been told that it is connected, so it sends its request."""
    with Site.serving(Echo()) as site:
        clients: list[Client] = []

        def connect_and_stop() -> None:
            # In the server's own thread, so that it cannot accept them before it stops.
            for _ in range(5):
                connected = socket.create_connection(("127.0.0.1", site.port), timeout=10)
                clients.append(Client(connected).send(get("/a")))
            site.server.stop()

        site.call(connect_and_stop)
        wait_for(lambda: len(clients) == 5)
        assert [client.answer().status for client in clients] == [200] * 5
        for client in clients:
            client.socket.close()


def test_clients_that_reset_their_connections_leave_nothing_behind() -> None:
    echo = Echo()
    with Site.serving(echo) as site:
        for path in ("/", "/wait", "/stream/endless", "/stream/wait"):
            for sent in (0, 10, 1000):
                client = site.client()
                client.send(get(path)[: sent or None])
                client.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                client.socket.close()
        wait_for(lambda: not site.server.connections and not site.server.running)
