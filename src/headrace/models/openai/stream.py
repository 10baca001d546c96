"""Reading a streamed answer: chunks of a chat or of a bare completion.

Cut anywhere. Understood besides OpenAI's own: keep-alive comments, chunks without choices, usage in
the last chunk, in every chunk, in a choice or in `x_groq`, thoughts as `reasoning_content`,
`reasoning` or as parts, tool calls without index or id, a missing `[DONE]`, an error object in
mid-stream, and a body that is no stream at all (an error with status 200, a whole answer, a page).

Sources: OpenAI API reference, `chat/completions` streaming; the providers' own pages.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.openai.choice import Chunk, ChunkChoice, WireToolCall, delta_of
from headrace.models.openai.errors import Failure, Site, error_for, failure_in, failure_of
from headrace.models.openai.usage import WireUsage, usage_of
from headrace.models.openai.whole import deltas_of_whole
from headrace.models.sse import EventReader
from headrace.types import Delta, FunctionDelta, ToolCallDelta, Usage

__all__ = ["ChatReader"]

MAX_WHOLE_BYTES = 64 * 1024 * 1024

_decode = msgspec.json.Decoder(Chunk).decode


class ChatReader:
    """Reads one answer. Forgives what can be understood; what cannot is ModelUnavailable."""

    def __init__(self, site: Site, *, usage_per_choice: bool = False) -> None:
        self._site = site
        self._events = EventReader()
        self._usage_per_choice = usage_per_choice
        self._usage: Usage | None = None
        self._tools: dict[int, _Tools] = {}
        self._finished: set[int] = set()
        self._begun: set[int] = set()
        self._done = False
        self._whole: bytearray | None = None
        """The body, where it is no event stream."""
        self._is_stream = False

    def feed(self, packet: bytes) -> Iterator[Delta]:
        """The deltas that this packet completes.

        Raises:
            HeadraceError: the provider reports a failure, or what came is not its protocol.
        """
        if not self._is_stream:
            packet = self._head(packet)
        try:
            for event in self._events.feed(packet):
                if event == b"[DONE]":
                    self._done = True
                elif not self._done and event:
                    yield from self._read(event)
        except ValueError as error:
            raise self._broken(f"sent too much: {error}") from error

    def end(self) -> Iterator[Delta]:
        """The usage, once all choices have finished.

        Raises:
            HeadraceError: the answer is not whole.
        """
        if self._whole is not None:
            yield from self._end_whole(bytes(self._whole))
            return
        if not self._done:
            yield from self._last_event()
        if not self._begun or (self._begun - self._finished and not self._done):
            raise self._broken("ended its answer too early")
        for index in sorted(self._begun - self._finished):
            yield Delta(index, finish_reason="tool_calls" if index in self._tools else "stop")
        if self._usage is not None:
            yield Delta(usage=self._usage)

    def _last_event(self) -> Iterator[Delta]:
        """What stands at the end without its blank line: some servers close right behind it."""
        try:
            yield from self.feed(b"\n\n")
        except ModelUnavailable:
            # Half an event behind the end of every choice takes nothing from the answer.
            if not self._finished or self._begun - self._finished:
                raise

    def _head(self, packet: bytes) -> bytes:
        """What to read as events of the first bytes: none where the body is no event stream."""
        if self._whole is None:
            packet = packet.lstrip(b"\r\n\t \xef\xbb\xbf")
            if not packet:
                return b""
            if packet[:1] not in b"{<[":
                self._is_stream = True
                return packet
            self._whole = bytearray()
        self._whole += packet
        if len(self._whole) > MAX_WHOLE_BYTES:
            raise self._broken("sent too much")
        return b""

    def _end_whole(self, body: bytes) -> Iterable[Delta]:
        failure = failure_in(body)
        if failure is not None:
            raise self._error(failure)
        if body[:1] == b"<":
            raise self._broken("sent a page instead of an answer; check `base_url`")
        return deltas_of_whole(body, self._site)

    def _read(self, event: bytes) -> Iterator[Delta]:
        try:
            chunk = _decode(event)
        except UNREADABLE as error:
            failure = failure_in(event)
            if failure is not None:
                raise self._error(failure) from error
            raise self._broken(f"sent something unreadable: {error}") from error
        if chunk.error is not None:
            error_object = chunk.error
            raise self._error(
                Failure(message=error_object)
                if isinstance(error_object, str)
                else failure_of(error_object)
            )
        if chunk.choices is None:
            self._check_whether_failure(event)
        for choice in chunk.choices or ():
            delta = self._delta(choice, chunk.id or "")
            if delta is not None:
                yield delta
            if choice.usage is not None:
                self._count(choice.usage)
        if chunk.usage is not None:
            self._count(chunk.usage)
        elif chunk.x_groq is not None:
            if chunk.x_groq.error is not None:
                raise self._error(Failure(message=chunk.x_groq.error))
            if chunk.x_groq.usage is not None:
                self._count(chunk.x_groq.usage)

    def _check_whether_failure(self, event: bytes) -> None:
        """An event without choices may be an error that says so at its top (vLLM, Cerebras)."""
        failure = failure_in(event)
        if failure is not None:
            raise self._error(failure)

    def _delta(self, choice: ChunkChoice, chunk_id: str) -> Delta | None:
        if choice.error is not None:
            raise self._error(failure_of(choice.error))
        index = choice.index or 0
        self._begun.add(index)
        delta = delta_of(choice, self._site)
        calls = choice.tool_calls()
        if calls:
            tools = self._tools.get(index)
            if tools is None:
                tools = self._tools[index] = _Tools(f"{chunk_id} {index}")
            delta.tool_calls = [tools.piece(call) for call in calls]
        if delta.finish_reason is not None:
            if index in self._finished:
                delta.finish_reason = None
            self._finished.add(index)
        if (
            delta.text
            or delta.finish_reason is not None
            or delta.reasoning
            or delta.tool_calls
            or delta.refusal
            or delta.logprobs
        ):
            return delta
        return None

    def _count(self, wire: WireUsage) -> None:
        usage = usage_of(wire)
        if not usage.prompt_tokens and not usage.completion_tokens and self._usage is not None:
            return
        if self._usage_per_choice and self._usage is not None:
            # The prompt that the choices share counts once.
            usage.completion_tokens += self._usage.completion_tokens
            usage.reasoning_tokens += self._usage.reasoning_tokens
            usage.cached_tokens = max(usage.cached_tokens, self._usage.cached_tokens)
        self._usage = usage

    def _error(self, failure: Failure) -> HeadraceError:
        return error_for(failure, 0, {}, self._site, 0.0)

    def _broken(self, what: str) -> ModelUnavailable:
        return ModelUnavailable(f"{self._site.provider} {what} ({self._site.model})")


class _Tools:
    """The tool calls of one choice: gives each fragment the index and id that its server forgot."""

    __slots__ = ("_ids", "_named", "_ours", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._ids: list[str] = []
        """By our index."""
        self._named: set[int] = set()
        self._ours: dict[int, int] = {}
        """Our index of the latest call that the server has given an index of its own."""

    def piece(self, call: WireToolCall) -> ToolCallDelta:
        function = call.function
        name = function.name if function is not None else None
        index = self._known(call, has_name=bool(name))
        begins = index is None
        if index is None:
            index = len(self._ids)
            self._ids.append(call.id or self._made_up(index))
            if call.index is not None:
                self._ours[call.index] = index
        if name and index in self._named:
            name = None  # the name comes once; some servers repeat it with every fragment
        elif name:
            self._named.add(index)
        arguments = function.arguments if function is not None else None
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        return ToolCallDelta(
            index=index,
            id=self._ids[index] if begins else None,
            type="function" if begins else None,
            function=FunctionDelta(name=name or None, arguments=arguments),
        )

    def _known(self, call: WireToolCall, *, has_name: bool) -> int | None:
        """The call that the fragment goes on with; None where it begins one."""
        if call.index is not None:
            index = self._ours.get(call.index)
        else:
            index = len(self._ids) - 1 if self._ids else None
        if index is None or not has_name or index not in self._named:
            return index
        # Ollama and others give every call the index 0, or none: another id is another call.
        if call.index is None:
            return index if call.id and call.id == self._ids[index] else None
        return index if not call.id or call.id == self._ids[index] else None

    def _made_up(self, index: int) -> str:
        """An id that is the same however the stream is cut, and another in each answer."""
        digest = hashlib.sha256(f"{self._seed} {index}".encode()).hexdigest()
        return f"call_{digest[:24]}"
