"""OpenAI's chat completions, bare completions, embeddings and list of models."""

import base64
import binascii
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.errors import NotOffered
from headrace.models.openai.errors import Site, error_for, error_of, failure_in
from headrace.models.openai.listing import listed_in
from headrace.models.openai.quirk import Quirks
from headrace.models.openai.request import chat_body, completion_body, embeddings_body
from headrace.models.openai.stream import ChatReader
from headrace.models.openai.usage import WireUsage, rate_limits_of, usage_of
from headrace.models.openai.whole import deltas_of_whole
from headrace.models.remote import Reader, Request
from headrace.types import Delta, TextKind, Usage

__all__ = ["OpenAIWire"]

T = TypeVar("T")


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    """Numbers, or little-endian float32 in base64."""
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: WireUsage | None = None


class OpenAIWire:
    """The chat completions API of one server. `clock` gives Unix time, for resets in headers."""

    def __init__(
        self,
        site: Site,
        quirks: Quirks,
        headers: Sequence[tuple[str, str]] = (),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.site = site
        self.quirks = quirks
        self.headers = tuple(headers)
        self._clock = clock

    def generate(self, call: Call) -> Request:
        """Ask for an answer.

        Raises:
            InvalidRequest: the server does not have what is asked for; names the field.
        """
        site = self.site
        if call.completion:
            body = completion_body(call, site.model, self.quirks, site.provider)
            return self.request("/completions", body)
        body = chat_body(call, site.model, self.quirks, site.provider)
        return self.request("/chat/completions", body)

    def reader(self, call: Call) -> Reader:
        n = call.params.n or 1
        return ChatReader(self.site, usage_per_choice=n > 1 and self.quirks.usage_per_choice)

    def whole(self, call: Call, body: bytes) -> Iterable[Delta]:
        del call
        return deltas_of_whole(body, self.site)

    def embed(self, inputs: Sequence[str], kind: TextKind | None) -> Request:
        """Ask for vectors. The protocol has no word for `kind`; prefixes are the backend's.

        Raises:
            InvalidRequest: the server makes none.
        """
        del kind
        if not self.quirks.embeddings:
            raise NotOffered(
                f"{self.site.provider} has no embeddings",
                hint="name a model of another provider",
                param="model",
            )
        return self.request("/embeddings", embeddings_body(inputs, self.site.model))

    def embeddings(self, body: bytes) -> Embeddings:
        read = self.read(body, lambda: msgspec.json.decode(body, type=_Vectors))
        ordered = sorted(read.data, key=lambda each: each.index)
        usage = usage_of(read.usage) if read.usage is not None else Usage()
        return Embeddings([_vector(each.embedding, self.site) for each in ordered], usage)

    def list(self) -> Request | None:
        return self.request("/models", method="GET") if self.quirks.models else None

    def listed(self, body: bytes) -> Sequence[ListedModel]:
        return self.read(body, lambda: listed_in(body))

    def error_of(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadraceError:
        return error_of(status, headers, body, self.site, self._clock())

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        return rate_limits_of(headers, self._clock())

    def request(self, path: str, body: bytes = b"", *, method: str = "POST") -> Request:
        """A request with this server's headers. Where paths differ, this is what a subclass changes."""
        return Request(path, body, self.headers, method)

    def read(self, body: bytes, decode: Callable[[], T]) -> T:
        """A body, decoded.

        Raises:
            HeadraceError: it reports a failure, whatever its status was, or is unreadable.
        """
        try:
            return decode()
        except UNREADABLE as error:
            failure = failure_in(body)
            if failure is not None:
                raise error_for(failure, 0, {}, self.site, self._clock()) from error
            raise ModelUnavailable(
                f"{self.site.provider} sent something unreadable: {error} ({self.site.model})"
            ) from error


def _vector(embedding: Sequence[float] | str, site: Site) -> list[float]:
    if not isinstance(embedding, str):
        return [*embedding]
    try:
        numbers = array("f", base64.b64decode(embedding, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ModelUnavailable(
            f"{site.provider} sent a vector that is none: {error} ({site.model})"
        ) from error
    return numbers.tolist()
