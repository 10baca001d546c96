"""A server at an address, which speaks MCP's streamable HTTP."""

import itertools
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Self

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.http.client import HttpClient
from headrace.models.http.reply import Reply
from headrace.models.sse import EventReader
from headrace.pipeline.tools.errors import ToolFailed, ToolUnavailable
from headrace.pipeline.tools.guard import guarded_client, in_words
from headrace.pipeline.tools.mcp.wire import (
    MAX_MESSAGE_BYTES,
    Incoming,
    decode,
    encode,
    response_to,
)
from headrace.pipeline.tools.settings import McpSettings
from headrace.pipeline.tools.template import UrlTemplate

__all__ = ["StreamableConnection"]

_SESSION = "mcp-session-id"
_NO_SESSION = 404


class StreamableConnection:
    """One session with one server; each message is a request of its own."""

    def __init__(self, client: HttpClient, target: str, headers: Mapping[str, str]) -> None:
        self._client = client
        self._target = target
        self._headers = dict(headers)
        self._ids = itertools.count(1)
        self._session = ""
        self._version = ""
        self.is_open = True

    @classmethod
    def to(cls, settings: McpSettings) -> Self:
        """Nothing is sent yet. Raises AddressRefused for an address inside that is not allowed."""
        assert settings.url is not None
        template = UrlTemplate.read(settings.url)
        client = guarded_client(template.address, settings.allow)
        return cls(client, template.filled({}, rest_in_query=False), settings.headers)

    def agreed(self, version: str) -> None:
        self._version = version

    async def request(self, method: str, params: Mapping[str, object]) -> bytes:
        request_id = next(self._ids)
        try:
            async with self._client.request(
                "POST",
                self._target,
                encode(method, params, request_id),
                headers=self._all_headers(),
                # Sent twice, a tool might act twice.
                resend=False,
            ) as reply:
                self._check(reply)
                self._session = reply.headers.get(_SESSION, self._session)
                async with aclosing(_messages(reply)) as messages:
                    async for message in messages:
                        if message.method is None and message.id == request_id:
                            return message.value()
                        await self._respond(message)
        except ModelUnavailable as error:
            raise ToolUnavailable(in_words(error), hint=error.hint) from error
        raise ToolUnavailable("the tool's server ended its answer before the result")

    async def notify(self, method: str, params: Mapping[str, object]) -> None:
        await self._post(encode(method, params))

    async def close(self) -> None:
        if self._session and self.is_open:
            try:
                async with self._client.request(
                    "DELETE", self._target, headers=self._all_headers()
                ):
                    pass
            except HeadraceError:
                pass  # It forgets the session by itself, sooner or later.
        self.is_open = False
        self._client.close()

    async def _respond(self, message: Incoming) -> None:
        if (response := response_to(message)) is not None:
            await self._post(response)

    async def _post(self, body: bytes) -> None:
        try:
            async with self._client.request(
                "POST", self._target, body, headers=self._all_headers(), resend=False
            ) as reply:
                self._check(reply)
        except ModelUnavailable as error:
            raise ToolUnavailable(in_words(error), hint=error.hint) from error

    def _check(self, reply: Reply) -> None:
        if reply.status == _NO_SESSION and self._session:
            self.is_open = False  # The session is over; the next call makes another.
            raise ToolUnavailable("the tool's server has ended the session")
        if not 200 <= reply.status < 300:
            raise ToolFailed(f"the tool's server answered HTTP {reply.status}")

    def _all_headers(self) -> tuple[tuple[str, str], ...]:
        ours = [
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ]
        if self._session:
            ours.append((_SESSION, self._session))
        if self._version:
            ours.append(("mcp-protocol-version", self._version))
        return (*ours, *self._headers.items())


async def _messages(reply: Reply) -> AsyncGenerator[Incoming, None]:
    """The messages of an answer, in either form."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    events, data, size = EventReader(), b"", 0
    async with aclosing(reply.chunks()) as chunks:
        async for piece in chunks:
            size += len(piece)
            if size > MAX_MESSAGE_BYTES:
                raise ToolFailed(f"the tool's server sent more than {MAX_MESSAGE_BYTES} bytes")
            if kind != "text/event-stream":
                data += piece
                continue
            for event in events.feed(piece):
                if event:
                    for message in decode(event):
                        yield message
    if data:
        for message in decode(data):
            yield message
