"""Google's Gemini API: settings, wire and backend."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from headrace.errors import HeadraceError
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.dialect.counting import CountingBackend
from headrace.models.dialect.reading import read_json
from headrace.models.gemini.errors import error_of
from headrace.models.gemini.request import body_of
from headrace.models.gemini.settings import GeminiSettings
from headrace.models.gemini.stream import ContentReader, deltas_of_content
from headrace.models.gemini.usage import Tokens, usage_of
from headrace.models.remote import Reader, Request
from headrace.types import Delta, Message, Params, TextKind

__all__ = ["GeminiBackend", "GeminiWire"]

_TASKS: Mapping[TextKind, str] = {"query": "RETRIEVAL_QUERY", "passage": "RETRIEVAL_DOCUMENT"}


class _Vector(msgspec.Struct):
    values: list[float]


class _Embedded(msgspec.Struct):
    embeddings: list[_Vector]
    usage: Tokens = msgspec.field(default_factory=Tokens, name="usageMetadata")


class _Counted(msgspec.Struct):
    total: int = msgspec.field(name="totalTokens")


class _Model(msgspec.Struct, rename="camel"):
    name: str
    input_token_limit: int | None = None
    output_token_limit: int | None = None


class _Models(msgspec.Struct):
    models: list[_Model] = []


class GeminiWire:
    """`generateContent` and its neighbours. `clock` gives Unix time, for dates in headers."""

    def __init__(self, settings: GeminiSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        name = settings.model
        self._model = name if "/" in name else f"models/{name}"
        key = settings.api_key
        self._headers = (("x-goog-api-key", key),) if key is not None else ()

    def generate(self, call: Call) -> Request:
        """`POST models/…:generateContent`, or its streamed sibling.

        Raises:
            InvalidRequest: the protocol has no words for what is asked.
        """
        verb = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return self._request(verb, body_of(call, self._settings))

    def reader(self, call: Call) -> Reader:
        del call
        return ContentReader(model=self._settings.model)

    def whole(self, call: Call, body: bytes) -> Iterable[Delta]:
        del call
        return deltas_of_content(body, model=self._settings.model)

    def embed(self, inputs: Sequence[str], kind: TextKind | None) -> Request:
        """`POST models/…:batchEmbedContents`."""
        task = {} if kind is None else {"taskType": _TASKS[kind]}
        requests = [
            {"model": self._model, "content": {"parts": [{"text": text}]}, **task}
            for text in inputs
        ]
        return self._request("batchEmbedContents", {"requests": requests})

    def embeddings(self, body: bytes) -> Embeddings:
        """Many embedding models report no tokens; their usage is then zero."""
        read = read_json(body, _Embedded, "Gemini")
        return Embeddings([each.values for each in read.embeddings], usage_of(read.usage))

    def count(self, messages: Sequence[Message]) -> Request:
        """`POST models/…:countTokens`."""
        body = body_of(Call(messages, Params()), self._settings)
        return self._request(
            "countTokens", {"generateContentRequest": {"model": self._model, **body}}
        )

    def counted(self, body: bytes) -> int:
        return read_json(body, _Counted, "Gemini").total

    def list(self) -> Request | None:
        return Request("/models?pageSize=1000", headers=self._headers, method="GET")

    def listed(self, body: bytes) -> Sequence[ListedModel]:
        return [
            ListedModel(
                id=each.name.removeprefix("models/"),
                context_tokens=each.input_token_limit,
                output_tokens=each.output_token_limit,
            )
            for each in read_json(body, _Models, "Gemini").models
        ]

    def error_of(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadraceError:
        model = self._settings.model
        return error_of(status, headers, body, model=model, now=self._clock())

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        """Gemini tells nobody how much is left."""
        del headers
        return None

    def _request(self, verb: str, body: Mapping[str, object]) -> Request:
        path = f"/{quote(self._model)}:{verb}"
        return Request(path, msgspec.json.encode(body), self._headers)


class GeminiBackend(CountingBackend):
    """Serves one model of Google's."""

    provider = "gcp.gemini"
    Settings = GeminiSettings

    def __init__(
        self,
        settings: GeminiSettings,
        *,
        name: str,
        root: Path,
        home: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        del root, home
        self._contents = GeminiWire(settings, clock=clock)
        super().__init__(settings, self._contents, name=name)

    def count_request(self, messages: Sequence[Message]) -> Request:
        return self._contents.count(messages)

    def counted(self, body: bytes) -> int:
        return self._contents.counted(body)
