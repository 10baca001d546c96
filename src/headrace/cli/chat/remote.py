"""A running service as the partner: OpenAI's chat completions, streamed."""

import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Self

import httpx
import msgspec

from headrace.cli.chat.errors import ServiceRefused, ServiceUnreachable
from headrace.cli.chat.partner import Question, Reply
from headrace.models.sse import EventReader
from headrace.types import Usage

__all__ = ["RemotePartner"]

CONNECT_S = 10.0
READ_S = 300.0
"""A long prompt on a slow machine may take minutes to its first token."""
DONE = b"[DONE]"


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Error(msgspec.Struct):
    message: str = "the service gave no reason"
    code: str | int | None = None

    @property
    def named(self) -> str | None:
        return self.code if isinstance(self.code, str) else None


class _Chunk(msgspec.Struct):
    """What of a chunk, or of an error in its place, matters here."""

    model: str = ""
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | None = None


class RemotePartner:
    """Talks to the service at `url`."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self.url: str | None = url

    @classmethod
    @contextmanager
    def open(cls, url: str, key: str, *, verify: ssl.SSLContext | bool = True) -> Iterator[Self]:
        """A connection to the service; nothing is sent yet."""
        with httpx.Client(
            base_url=url.rstrip("/").removesuffix("/v1"),
            headers={"authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            verify=verify,
        ) as client:
            yield cls(client, url)

    def answer(self, question: Question, reply: Reply) -> Generator[str, None, None]:
        """See `Partner`."""
        try:
            with self._client.stream(
                "POST", "/v1/chat/completions", content=_body(question)
            ) as response:
                reply.trace_id = response.headers.get("x-headrace-trace", "")
                reply.release = response.headers.get("x-headrace-release", "")
                if response.status_code != httpx.codes.OK:
                    raise _refused(response)
                yield from _pieces(response, reply)
        except httpx.TransportError as error:
            raise ServiceUnreachable(
                f"{self.url}: {error or type(error).__name__}",
                hint="check the address, and that the service runs: `headrace doctor`",
            ) from error


def _body(question: Question) -> bytes:
    fields: dict[str, object] = {
        "messages": [{"role": "user", "content": question.text}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "conversation": question.conversation,
        "model": question.model,
        "template": question.template,
        "max_completion_tokens": question.max_tokens,
    }
    return msgspec.json.encode({k: v for k, v in fields.items() if v is not None})


def _pieces(response: httpx.Response, reply: Reply) -> Generator[str, None, None]:
    reader = EventReader()
    for packet in response.iter_bytes():
        for event in reader.feed(packet):
            if event == DONE:
                return
            chunk = _chunk(event)
            if chunk.error is not None:
                raise ServiceRefused(chunk.error.message).named(chunk.error.named)
            _note(chunk, reply)
            for choice in chunk.choices:
                if choice.delta.content:
                    reply.text.append(choice.delta.content)
                    yield choice.delta.content
    raise ServiceUnreachable("the answer broke off", hint="see the service's log")


def _chunk(event: bytes) -> _Chunk:
    try:
        return msgspec.json.decode(event, type=_Chunk)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ServiceRefused(
            f"the service sent something that is no piece of an answer: {error}",
            hint="is this the address of a Headrace service?",
        ) from error


def _note(chunk: _Chunk, reply: Reply) -> None:
    reply.model = chunk.model or reply.model
    for choice in chunk.choices:
        reply.finish_reason = choice.finish_reason or reply.finish_reason
    if (usage := chunk.usage) is not None:
        details = usage.prompt_tokens_details
        cached = 0 if details is None else details.cached_tokens or 0
        reply.usage = Usage(usage.prompt_tokens, usage.completion_tokens, cached)


def _refused(response: httpx.Response) -> ServiceRefused:
    response.read()
    try:
        error = msgspec.json.decode(response.content, type=_Chunk).error
    except msgspec.MsgspecError:
        error = None
    if error is None:
        return ServiceRefused(
            f"{response.url} answered {response.status_code}",
            hint="is this the address of a Headrace service?",
        )
    hint = ""
    if response.status_code == httpx.codes.UNAUTHORIZED:
        hint = "give a key with --key or HEADRACE_API_KEY; `headrace keys create NAME` makes one"
    return ServiceRefused(error.message, hint=hint).named(error.named)
