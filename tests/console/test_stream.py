"""The stream of one answer, at the ASGI level: what is sent, and what ends when the reader leaves."""

import asyncio
import json
import re
from collections.abc import MutableMapping
from typing import Any

import pytest

from headrace.access.principal import Principal
from headrace.console import stream
from headrace.console.ending import Ending
from headrace.console.stream import TurnStream
from headrace.errors import HeadraceError, ModelUnavailable
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Span
from headrace.types import Delta, Deltas, Message

Event = MutableMapping[str, Any]  # ASGI's own type


class Writing:
    """An answerer in the test's hand: says its pieces, then waits until told to go on."""

    def __init__(self, *pieces: str | Delta, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.go_on = asyncio.Event()
        self.said = asyncio.Event()
        self.closed = asyncio.Event()

    async def answer(self, turn: Turn) -> Deltas:
        try:
            assert turn.observe is not None
            turn.observe(Span(name="normalize", start_s=0.0))
            for piece in self.pieces:
                yield Delta(text=piece) if isinstance(piece, str) else piece
            self.said.set()
            await self.go_on.wait()
            if self.error is not None:
                raise self.error
            yield Delta(finish_reason="stop")
        finally:
            self.closed.set()


class Plain:
    """Words without templates."""

    def steps(self) -> str:
        return "<li>normalize"

    def step(self, span: Span) -> str:
        return f"<li>{span.name}"

    async def done(self, turn: Turn) -> Ending:
        return Ending(html="done", summary="", steps="", address="/c/1")

    async def failed(self, turn: Turn, error: HeadraceError) -> Ending:
        html = f"{error.code}: {error.message}"
        return Ending(html=html, summary="", steps="", address="")


class Browser:
    """The other end of the connection."""

    def __init__(self, answerer: Writing) -> None:
        self.body = b""
        self.headers: dict[str, str] = {}
        self.leave = asyncio.Event()
        self.got = asyncio.Condition()
        principal = Principal("key-1", "anna", "user")
        turn = Turn(principal=principal, messages=[Message(role="user", content="hello")])
        self._response = TurnStream(answerer, turn, Plain())

    async def read(self) -> None:
        await self._response({"type": "http"}, self._receive, self._send)

    async def wait_for(self, text: bytes) -> None:
        async with self.got:
            await self.got.wait_for(lambda: text in self.body)

    def events(self) -> list[tuple[str, dict[str, str]]]:
        found = re.findall(r"event: (\w+)\ndata: (.*)\n\n", self.body.decode())
        return [(kind, json.loads(data)) for kind, data in found]

    async def _receive(self) -> Event:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        async with self.got:
            self.body += event.get("body", b"")
            self.got.notify_all()


async def test_events_come_in_order_and_as_they_happen() -> None:
    answerer = Writing("Good ", "day")
    browser = Browser(answerer)
    reading = asyncio.create_task(browser.read())
    await browser.wait_for(b"day")
    assert [kind for kind, _ in browser.events()] == ["start", "step", "delta", "delta"]
    answerer.go_on.set()
    await reading
    kinds = [kind for kind, _ in browser.events()]
    assert kinds == ["start", "step", "delta", "delta", "done"]
    assert browser.events()[1][1] == {"name": "normalize", "html": "<li>normalize"}
    assert "".join(d["text"] for kind, d in browser.events() if kind == "delta") == "Good day"
    assert browser.headers["content-type"].startswith("text/event-stream")
    assert browser.headers["x-accel-buffering"] == "no"
    assert "content-length" not in browser.headers


async def test_a_refusal_is_shown_in_the_answers_place() -> None:
    answerer = Writing(Delta(refusal="I cannot help with that."))
    answerer.go_on.set()
    browser = Browser(answerer)
    await browser.read()
    said = [data["text"] for kind, data in browser.events() if kind == "delta"]
    assert said == ["I cannot help with that."]


async def test_the_answer_has_ended_when_a_reader_has_left() -> None:
    answerer = Writing("Good ")
    browser = Browser(answerer)
    reading = asyncio.create_task(browser.read())
    await answerer.said.wait()
    browser.leave.set()
    await reading
    assert answerer.closed.is_set()


async def test_a_server_that_stops_ends_the_answer() -> None:
    answerer = Writing("Good ")
    reading = asyncio.create_task(Browser(answerer).read())
    await answerer.said.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert answerer.closed.is_set()


async def test_a_failure_is_the_last_event() -> None:
    answerer = Writing("Good ", error=ModelUnavailable("the model broke off"))
    answerer.go_on.set()
    browser = Browser(answerer)
    await browser.read()
    assert browser.events()[-1] == (
        "error",
        {
            "html": "model_unavailable: the model broke off",
            "summary": "",
            "steps": "",
            "address": "",
        },
    )


async def test_a_defect_tells_the_reader_nothing_but_where_to_look(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answerer = Writing(error=RuntimeError("secret path /srv"))
    answerer.go_on.set()
    browser = Browser(answerer)
    await browser.read()
    kind, data = browser.events()[-1]
    assert (kind, "secret" in str(data)) == ("error", False)
    assert data["html"].startswith("internal_error")
    assert "secret path /srv" in caplog.text


async def test_a_quiet_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_QUIET_S", 0.01)
    answerer = Writing("Good ")
    browser = Browser(answerer)
    reading = asyncio.create_task(browser.read())
    await browser.wait_for(b"\n\n:\n\n:\n\n")
    answerer.go_on.set()
    await reading
    assert browser.events()[-1][0] == "done"
