"""The embedded backend: real weights on this machine, served by a worker process of its own."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.adapted import AdapterSource
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.embedded.errors import error_of
from headrace.models.embedded.request import chat_body, completion_body
from headrace.models.embedded.runtime import Runtime, runtime_for
from headrace.models.embedded.settings import AdaptedSettings, EmbeddedSettings, RuntimeSettings
from headrace.models.embedded.stream import UsageSum, deltas_of, events_of
from headrace.models.embedded.tools import (
    calls_in,
    described,
    history_as_text,
    is_forced,
    only_the_chosen,
)
from headrace.models.http import Address, HttpClient
from headrace.models.progress import Progress
from headrace.models.store import ModelStore
from headrace.types import Delta, Deltas, Message, TextKind, Usage

if TYPE_CHECKING:
    from headrace.models.embedded.adapted import AdaptedBackend

__all__ = ["EmbeddedBackend", "EmbeddedSettings"]

COUNTED_PROMPTS = 4096
"""Token counts kept, least recently used out."""
ASK_EVERY_S = 0.02
"""Pause between two looks at a worker that should answer and does not."""
BYTE_LEVEL_BPE = 2
"""llama.cpp's vocab_type for byte-level BPE (GPT-2 style), where a token is at least one byte."""


class EmbeddedBackend:
    """Serves one GGUF file."""

    provider = "llama_cpp"
    Settings = EmbeddedSettings
    reads_folder = False
    """Of an adapter, it loads the GGUF file."""
    place: int | None = None
    """Of its adapter among those of the process."""

    def __init__(self, settings: EmbeddedSettings, *, name: str, root: Path, home: Path) -> None:
        self.settings = settings
        self.context_tokens = settings.context_tokens
        self.digest = (settings.sha256 or "").lower()
        self.rate_limits: RateLimits | None = None
        self.rtt_s: float | None = None
        self._name = name
        self.capacity: int | None = settings.asked
        self._gate = asyncio.Semaphore(settings.asked)
        self._embedding = asyncio.Lock()
        self._store = ModelStore(home / "models", root=root)
        self._runtime: Runtime | None = None
        self._client: HttpClient | None = None
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._byte_level = False
        self._knows_tools = False
        """Whether the model's own chat template does."""

    @classmethod
    def adapted(
        cls, settings: EmbeddedSettings, adapter: AdapterSource, beside: Sequence[AdapterSource]
    ) -> "tuple[type[AdaptedBackend], AdaptedSettings]":
        """What serves the same weights with an adapter on them.

        Args:
            beside: all adapters that the same process is to have, this one included.
        """
        from headrace.models.embedded.adapted import AdaptedBackend

        fields = msgspec.structs.asdict(settings)
        return AdaptedBackend, AdaptedSettings(**fields, adapters=tuple(beside), adapter=adapter)

    async def start(self, progress: Progress | None = None) -> None:
        """Fetch the weights if they are not here yet, load them, and answer.

        Does nothing where that has been done: a worker that died since is being restarted.

        Raises:
            WeightsUnavailable: they cannot be fetched or are not the expected ones.
            ModelUnavailable: the process does not come up.
        """
        if self._runtime is not None:
            return
        runtime = self._new_runtime()
        await runtime.start(progress)
        self.digest = runtime.digest
        self._runtime = runtime
        self._client = HttpClient(Address(socket=runtime.socket))
        try:
            await self._learn()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the worker; what it still generates breaks off. It may be started again."""
        client, self._client = self._client, None
        runtime, self._runtime = self._runtime, None
        if client is not None:
            client.close()
        if runtime is not None:
            await runtime.stop()

    def is_ready(self) -> bool:
        return self._runtime is not None and self._runtime.is_ready()

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether the worker answers within `timeout_s`; False at once while it cannot start."""
        deadline = time.monotonic() + timeout_s
        while self._runtime is not None:
            if not await self._runtime.wait_ready(deadline - time.monotonic()):
                return False
            # Its death shows on connections before it shows on the process, so ask.
            if await self._answers():
                return True
            await asyncio.sleep(ASK_EVERY_S)
        return False

    async def _answers(self) -> bool:
        try:
            async with self._http().request("GET", "/health") as reply:
                await reply.read()
                return reply.status == 200
        except ModelUnavailable:
            return False

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, for `doctor` and fault tests."""
        return self._runtime.pid if self._runtime is not None else None

    def generate(self, call: Call) -> Deltas:
        """The answer, piece by piece; closing the iterator stops generation and frees the slot.

        Raises:
            ModelUnavailable: the worker is down or breaks off.
            ContextTooLong: the prompt does not fit.
            InvalidRequest: llama.cpp refuses a parameter.
        """
        if call.completion:
            return self._stream("/v1/completions", completion_body(call, self.place))
        call = msgspec.structs.replace(call, params=only_the_chosen(call.params))
        if self._knows_tools:
            return self._stream("/v1/chat/completions", chat_body(call, self.place))
        deltas = self._stream("/v1/chat/completions", chat_body(described(call), self.place))
        return calls_in(deltas, forced=is_forced(call.params)) if call.params.tools else deltas

    async def _stream(self, path: str, body: bytes) -> Deltas:
        usage = UsageSum()
        async with (
            self._gate,
            self._turn(),
            # llama.cpp's server closes after a stream without announcing it, so ask it to.
            self._http().request("POST", path, body, keep_alive=False) as reply,
        ):
            if reply.status != 200:
                raise error_of(reply.status, await reply.read(), self._name)
            async with aclosing(reply.chunks()) as chunks, aclosing(events_of(chunks)) as events:
                async for event in events:
                    for delta in deltas_of(event, usage):
                        yield delta
        if usage.total is not None:
            yield Delta(usage=usage.total)

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        """One vector per input, one after the other: llama.cpp mixes up inputs of unequal length
        that it embeds in one batch (docs/decisions/0034-embeddings-one-by-one.md).

        Raises:
            ContextTooLong: an input has more tokens than llama.cpp embeds at once.
        """
        del kind  # a chat model knows no difference
        vectors: list[list[float]] = []
        tokens = 0
        for text in inputs:
            async with self._embedding, self._alone():
                data = await self._post("/v1/embeddings", {"input": [text]})
            answer = msgspec.json.decode(data, type=_EmbeddingsBody)
            vectors += [each.embedding for each in answer.data]
            tokens += answer.usage.prompt_tokens
        return Embeddings(vectors=vectors, usage=Usage(prompt_tokens=tokens))

    def _new_runtime(self) -> Runtime:
        """What `start` is to start."""
        return runtime_for(RuntimeSettings(**msgspec.structs.asdict(self.settings)), self._store)

    def _turn(self) -> AbstractAsyncContextManager[None]:
        """What a generation waits for besides room."""
        return nullcontext()

    def _alone(self) -> AbstractAsyncContextManager[None]:
        return self._runtime.alone() if self._runtime is not None else nullcontext()

    async def listed(self) -> Sequence[ListedModel]:
        return ()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        if not self._knows_tools:
            messages = history_as_text(messages)
        key = msgspec.msgpack.encode(messages)
        known = self._counts.get(key)
        if known is not None:
            self._counts.move_to_end(key)
            return known
        prompt = msgspec.json.decode(
            await self._post("/apply-template", {"messages": messages}), type=_Prompt
        ).prompt
        body = {"content": prompt, "add_special": True, "parse_special": True}
        count = len(msgspec.json.decode(await self._post("/tokenize", body), type=_Tokens).tokens)
        self._counts[key] = count
        if len(self._counts) > COUNTED_PROMPTS:
            self._counts.popitem(last=False)
        return count

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        """At most this many tokens, known without asking; None where that cannot be promised.

        A byte-level BPE token covers at least one byte of text. What the chat template adds is
        not known here: 64 bytes a message and 512 for a default system prompt are more than any
        template we know of writes.
        """
        if not self._byte_level:
            return None
        bound = 512
        for message in messages:
            if message.tool_calls or not isinstance(message.content, str):
                return None
            bound += 64 + len(message.content.encode())
        return bound

    async def _learn(self) -> None:
        props = msgspec.json.decode(await self._ask("GET", "/props"), type=_Props)
        self._knows_tools = props.chat_template_caps.supports_tools
        listed = msgspec.json.decode(await self._ask("GET", "/v1/models"), type=_Models)
        for each in listed.data:
            self._byte_level = each.meta.vocab_type == BYTE_LEVEL_BPE
            self.context_tokens = min(self.settings.context_tokens, each.meta.n_ctx)

    def _http(self) -> HttpClient:
        if self._client is None or not self.is_ready():
            raise ModelUnavailable(
                f"the model {self._name!r} is restarting", hint="try again in a few seconds"
            )
        return self._client

    async def _post(self, path: str, body: object) -> bytes:
        return await self._ask("POST", path, msgspec.json.encode(body))

    async def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        async with self._http().request(method, path, body) as reply:
            data = await reply.read()
            if reply.status != 200:
                raise error_of(reply.status, data, self._name)
            return data


class _Vector(msgspec.Struct):
    embedding: list[float]


class _EmbeddingUsage(msgspec.Struct):
    prompt_tokens: int = 0


class _EmbeddingsBody(msgspec.Struct):
    data: list[_Vector]
    usage: _EmbeddingUsage = msgspec.field(default_factory=_EmbeddingUsage)


class _Prompt(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Meta(msgspec.Struct):
    vocab_type: int = 0
    n_ctx: int = 1 << 30


class _ListedModel(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Caps(msgspec.Struct):
    supports_tools: bool = False


class _Props(msgspec.Struct):
    chat_template_caps: _Caps = msgspec.field(default_factory=_Caps)


class _Models(msgspec.Struct):
    data: list[_ListedModel] = msgspec.field(default_factory=list)
