"""An ordinary ASGI app, Starlette's, behind the server."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from headrace.server.http1.asgi import AsgiPages
from tests.server.http1.site import Site, get, post

left = threading.Event()
after = threading.Event()


async def show(request: Request) -> Response:
    client = request.client
    assert client is not None
    body = await request.body()
    return JSONResponse(
        {
            "url": str(request.base_url),
            "name": request.path_params["name"],
            "query": dict(request.query_params),
            "client": client.host,
            "size": len(body),
            "cookie": request.cookies.get("a"),
        }
    )


async def stream(request: Request) -> Response:
    del request

    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number},"
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), headers={"x-a": "b"}, background=BackgroundTask(after.set))


async def endless(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        while not await request.is_disconnected():
            yield b"x" * 1000
            await asyncio.sleep(0)
        left.set()

    return StreamingResponse(pieces())


async def upload(request: Request) -> Response:
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
    except ClientDisconnect:
        left.set()
    return Response(str(size), headers={"set-cookie": "a=b"})


async def waiting(request: Request) -> Response:
    await request.body()
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    left.set()
    return Response()


@pytest.fixture(scope="module")
def pages() -> Iterator[Site]:
    routes = [
        Route("/show/{name:path}", show, methods=["GET", "POST"]),
        Route("/stream", stream),
        Route("/endless", endless),
        Route("/waiting", waiting),
        Route("/upload", upload, methods=["POST"]),
    ]
    with Site.serving(AsgiPages(Starlette(routes=routes))) as site:
        yield site


@pytest.fixture(autouse=True)
def _fresh() -> None:
    left.clear()
    after.clear()


def test_an_app_sees_the_request_as_it_was_sent(pages: Site) -> None:
    with pages.client() as client:
        found = client.ask(post("/show/a%2Fb%20%E4%BD%A0?x=1&y=%26", b"abc", "Cookie: a=b")).json()
        assert found == {
            "url": "http://test/",
            "name": "a/b 你",
            "query": {"x": "1", "y": "&"},
            "client": "127.0.0.1",
            "size": 3,
            "cookie": "b",
        }
        assert client.ask(get("/nothing")).status == 404


def test_head_and_get_say_the_same(pages: Site) -> None:
    with pages.client() as client:
        whole = client.ask(get("/show/x"))
        head = client.ask(get("/show/x").replace(b"GET", b"HEAD"), method="HEAD")
        assert head.headers["content-length"] == whole.headers["content-length"]
        assert client.ask(get("/stream").replace(b"GET", b"HEAD"), method="HEAD").status == 200
        assert client.ask(get("/show/y")).status == 200


def test_a_stream_comes_whole_and_what_follows_it_is_run(pages: Site) -> None:
    with pages.client() as client:
        answer = client.ask(get("/stream"))
        assert (answer.body, answer.headers["x-a"]) == (b"0,1,2,", "b")
        assert after.wait(10)
        assert client.ask(get("/show/x")).status == 200


def test_a_body_is_read_as_it_comes(pages: Site) -> None:
    with pages.client() as client:
        answer = client.ask(post("/upload", b"x" * 3_000_000))
        assert (answer.body, answer.headers["set-cookie"]) == (b"3000000", "a=b")


@pytest.mark.parametrize("path", ["/endless", "/waiting"])
def test_an_app_is_told_that_its_client_has_left(pages: Site, path: str) -> None:
    with pages.client() as client:
        client.send(get(path))
        if path == "/endless":
            client.read_some(5000)
    assert left.wait(10)


def test_an_app_is_told_that_its_client_left_in_the_middle_of_its_body(pages: Site) -> None:
    with pages.client() as client:
        client.send(post("/upload", b"x" * 1000)[:-1])
    assert left.wait(10)


@pytest.mark.parametrize("path", ["/upload", "/show/x"])
def test_a_body_that_cannot_be_had_is_the_clients_error(pages: Site, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pages.client() as client:
        answer = client.ask(head.encode() + b"3\r\nabcd\r\n")
        assert (answer.status, answer.code) == (400, "malformed_request")
        assert client.is_closed()
