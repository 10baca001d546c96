"""Anthropic Messages API: settings, wire and backend."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.anthropic.errors import error_of
from headrace.models.anthropic.request import body_of, is_forced_json
from headrace.models.anthropic.settings import AnthropicSettings
from headrace.models.anthropic.stream import MessageReader, deltas_of_message
from headrace.models.anthropic.usage import rate_limits_of
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.dialect.counting import CountingBackend
from headrace.models.dialect.reading import read_json
from headrace.models.errors import NotOffered
from headrace.models.remote import Reader, Request
from headrace.types import Delta, Message, Params, TextKind

__all__ = ["AnthropicBackend", "AnthropicWire"]

_COUNTED_FIELDS = ("model", "messages", "system", "tools", "tool_choice")


class _Counted(msgspec.Struct):
    input_tokens: int


class _Model(msgspec.Struct):
    id: str
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    retires_at: str | None = None


class _Models(msgspec.Struct):
    data: list[_Model]


class AnthropicWire:
    """The Messages API. `clock` gives Unix time, which resets in headers are relative to."""

    def __init__(
        self, settings: AnthropicSettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._clock = clock
        headers = [("anthropic-version", settings.version)]
        if settings.api_key is not None:
            headers.append(("x-api-key", settings.api_key))
        if settings.beta:
            headers.append(("anthropic-beta", ",".join(settings.beta)))
        self._headers = tuple(headers)

    def generate(self, call: Call) -> Request:
        """`POST /v1/messages`.

        Raises:
            InvalidRequest: the protocol has no words for what is asked.
        """
        return self._request("/v1/messages", body_of(call, self._settings))

    def reader(self, call: Call) -> Reader:
        return MessageReader(model=self._settings.model, forced_json=is_forced_json(call.params))

    def whole(self, call: Call, body: bytes) -> Iterable[Delta]:
        return deltas_of_message(
            body, model=self._settings.model, forced_json=is_forced_json(call.params)
        )

    def embed(self, inputs: Sequence[str], kind: TextKind | None) -> Request:
        del inputs, kind
        raise NotOffered(
            "Anthropic has no embeddings", hint="name a model of another provider", param="model"
        )

    def embeddings(self, body: bytes) -> Embeddings:
        raise ModelUnavailable("Anthropic has no embeddings")

    def count(self, messages: Sequence[Message]) -> Request:
        """`POST /v1/messages/count_tokens`."""
        body = body_of(Call(messages, Params()), self._settings)
        counted = {name: body[name] for name in _COUNTED_FIELDS if name in body}
        return self._request("/v1/messages/count_tokens", counted)

    def counted(self, body: bytes) -> int:
        return read_json(body, _Counted, "Anthropic").input_tokens

    def list(self) -> Request | None:
        return Request("/v1/models?limit=1000", headers=self._headers, method="GET")

    def listed(self, body: bytes) -> Sequence[ListedModel]:
        return [
            ListedModel(
                id=each.id,
                context_tokens=each.max_input_tokens,
                output_tokens=each.max_tokens,
                shutdown_date=each.retires_at[:10] if each.retires_at else None,
            )
            for each in read_json(body, _Models, "Anthropic").data
        ]

    def error_of(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadraceError:
        model = self._settings.model
        return error_of(status, headers, body, model=model, now=self._clock())

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        return rate_limits_of(headers, self._clock())

    def _request(self, path: str, body: Mapping[str, object]) -> Request:
        return Request(path, msgspec.json.encode(body), self._headers)


class AnthropicBackend(CountingBackend):
    """Serves one model of Anthropic's, or of a server that speaks its protocol."""

    provider = "anthropic"
    Settings = AnthropicSettings

    def __init__(
        self,
        settings: AnthropicSettings,
        *,
        name: str,
        root: Path,
        home: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        del root, home
        self._messages = AnthropicWire(settings, clock=clock)
        super().__init__(settings, self._messages, name=name)

    def count_request(self, messages: Sequence[Message]) -> Request:
        return self._messages.count(messages)

    def counted(self, body: bytes) -> int:
        return self._messages.counted(body)
