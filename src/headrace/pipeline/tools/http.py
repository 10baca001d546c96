"""The tool `http`: one declared endpoint, with the arguments that the model gives."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Self

import msgspec

from headrace.access.principal import Principal
from headrace.errors import ModelUnavailable
from headrace.models.http.client import HttpClient
from headrace.models.http.reply import Reply
from headrace.pipeline.tools.errors import ToolFailed
from headrace.pipeline.tools.guard import guarded_client, in_words
from headrace.pipeline.tools.settings import HttpToolSettings
from headrace.pipeline.tools.template import UrlTemplate
from headrace.pipeline.tools.tool import Result

__all__ = ["HttpTool"]

_TEXT = ("text/", "application/json", "application/xml", "application/x-ndjson")
_ERROR_BYTES = 500
"""Of an answer that is an error, the model reads this much: enough to see why."""


class HttpTool:
    """Asks the endpoint."""

    def __init__(self, settings: HttpToolSettings, max_bytes: int, client: HttpClient) -> None:
        self._settings = settings
        self._template = UrlTemplate.read(settings.url)
        self._max_bytes = max_bytes
        self._client = client

    @classmethod
    def of(cls, settings: HttpToolSettings, max_bytes: int) -> Self:
        """Raises AddressRefused for an address inside that is not allowed."""
        address = UrlTemplate.read(settings.url).address
        return cls(settings, max_bytes, guarded_client(address, settings.allow))

    def close(self) -> None:
        self._client.close()

    async def __call__(self, arguments: Mapping[str, object], principal: Principal) -> Result:
        del principal
        is_post = self._settings.method == "POST"
        target = self._template.filled(arguments, rest_in_query=not is_post)
        body = b""
        if is_post:
            names = self._template.names
            body = msgspec.json.encode({k: v for k, v in arguments.items() if k not in names})
        try:
            # A lookup may be sent twice; what a POST does there may not.
            async with self._client.request(
                self._settings.method,
                target,
                body,
                headers=tuple(self._settings.headers.items()),
                resend=not is_post,
            ) as reply:
                return await self._read(reply)
        except ModelUnavailable as error:
            raise ToolFailed(in_words(error)) from error

    async def _read(self, reply: Reply) -> Result:
        status = reply.status
        if 300 <= status < 400:
            raise ToolFailed(f"the endpoint leads elsewhere (HTTP {status}), which is not followed")
        kind = reply.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
        if not (kind.startswith(_TEXT) or kind.endswith(("+json", "+xml"))):
            raise ToolFailed(f"the endpoint answered with {kind!r}, which is no text")
        is_error = status >= 400
        data, is_whole = await _start_of(reply, _ERROR_BYTES if is_error else self._max_bytes)
        text = data.decode(_charset(reply), errors="ignore" if not is_whole else "replace")
        if is_error:
            return Result(text=f"HTTP {status}: {text}", is_error=True)
        return Result(text=text, is_cut=not is_whole)


async def _start_of(reply: Reply, most: int) -> tuple[bytes, bool]:
    """The first bytes of the body, and whether they are all; the rest is never read."""
    data = b""
    async with aclosing(reply.chunks()) as chunks:
        async for piece in chunks:
            data += piece
            if len(data) > most:
                return data[:most], False
    return data, True


def _charset(reply: Reply) -> str:
    _, _, said = reply.headers.get("content-type", "").lower().partition("charset=")
    name = said.partition(";")[0].strip(" \"'")
    try:
        "".encode(name or "utf-8")
    except LookupError:
        return "utf-8"
    return name or "utf-8"
