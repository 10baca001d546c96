"""Reading a streamed response, event by event; cut anywhere.

What only the closing events say (a text, arguments or a refusal that had no deltas) is read from
them, and nothing is said twice.

Source: OpenAI API reference, `responses` streaming events.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.openai.errors import (
    Failure,
    Site,
    WireError,
    error_for,
    failure_in,
    failure_of,
)
from headrace.models.openai_responses.event import Event, Item, Response, tokens_of
from headrace.models.sse import EventReader
from headrace.types import Delta, FinishReason, FunctionDelta, ToolCallDelta

__all__ = ["ResponseReader", "deltas_of_response"]

MAX_WHOLE_BYTES = 64 * 1024 * 1024

_decode = msgspec.json.Decoder(Event).decode
_decode_whole = msgspec.json.Decoder(Response).decode
_CALLS = ("function_call", "custom_tool_call")


class ResponseReader:
    """Reads one response."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._events = EventReader()
        self._answer = _Answer(site)
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
                if event and event != b"[DONE]" and not self._answer.is_done:
                    yield from self._read(event)
        except ValueError as error:
            raise _broken(self._site, f"sent too much: {error}") from error

    def end(self) -> Iterator[Delta]:
        """Nothing but the last event, where its blank line is missing.

        Raises:
            HeadraceError: the response has not been completed.
        """
        if self._whole is not None:
            yield from _read_whole(bytes(self._whole), self._site)
            return
        if not self._answer.is_done:
            yield from self.feed(b"\n\n")
        if not self._answer.is_done:
            raise _broken(self._site, "ended its answer too early")

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
            raise _broken(self._site, "sent too much")
        return b""

    def _read(self, data: bytes) -> Iterable[Delta]:
        try:
            event = _decode(data)
        except UNREADABLE as error:
            failure = failure_in(data)
            if failure is not None:
                raise error_for(failure, 0, {}, self._site, 0.0) from error
            raise _broken(self._site, f"sent something unreadable: {error}") from error
        if event.error is not None or event.type == "error":
            raise error_for(_failure(event), 0, {}, self._site, 0.0)
        handler = _HANDLERS.get(event.type or "")
        return handler(self._answer, event) if handler is not None else ()


def deltas_of_response(body: bytes, site: Site) -> Iterator[Delta]:
    """The deltas of a response that came in one piece: the answer, then the usage.

    Raises:
        HeadraceError: it has failed, or the body is no response.
    """
    yield from _read_whole(body, site)


def _read_whole(body: bytes, site: Site) -> Iterator[Delta]:
    try:
        response = _decode_whole(body)
    except UNREADABLE as error:
        failure = failure_in(body)
        if failure is not None:
            raise error_for(failure, 0, {}, site, 0.0) from error
        if body.lstrip()[:1] == b"<":
            raise _broken(site, "sent a page instead of an answer; check `base_url`") from error
        raise _broken(site, f"sent something unreadable: {error}") from error
    if response.output is None and response.error is None:
        failure = failure_in(body)
        if failure is not None:
            raise error_for(failure, 0, {}, site, 0.0)
        raise _broken(site, "sent an answer without output")
    pieces = list(_Answer(site).closed(Event(response=response)))
    last = next(each for each in pieces if each.finish_reason is not None)
    said = [each for each in pieces if each.finish_reason is None and each.usage is None]
    yield Delta(
        text="".join(each.text for each in said),
        reasoning="".join(each.reasoning for each in said),
        refusal="".join(each.refusal for each in said),
        tool_calls=[call for each in said for call in each.tool_calls or ()] or None,
        logprobs=[token for each in said for token in each.logprobs or ()] or None,
        finish_reason=last.finish_reason,
    )
    yield from (each for each in pieces if each.usage is not None)


class _Answer:
    """What has been said so far of one response."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.is_done = False
        self._calls: dict[int, int] = {}
        """Index of a tool call by its output index."""
        self._argued: set[int] = set()
        """Tool calls that have been given arguments."""
        self._said: set[tuple[int, int]] = set()
        """Parts of messages that have been given text, by output and content index."""
        self._thought: set[int] = set()
        """Trains of thought that have been given, by output index."""
        self._summary = (-1, -1)

    def text(self, event: Event) -> Iterator[Delta]:
        self._said.add((event.output_index or 0, event.content_index or 0))
        if event.delta:
            yield Delta(text=event.delta, logprobs=tokens_of(event.logprobs))

    def text_done(self, event: Event) -> Iterator[Delta]:
        place = (event.output_index or 0, event.content_index or 0)
        if event.text and place not in self._said:
            self._said.add(place)
            yield Delta(text=event.text, logprobs=tokens_of(event.logprobs))

    def refusal(self, event: Event) -> Iterator[Delta]:
        self._said.add((event.output_index or 0, event.content_index or 0))
        if event.delta:
            yield Delta(refusal=event.delta)

    def refusal_done(self, event: Event) -> Iterator[Delta]:
        place = (event.output_index or 0, event.content_index or 0)
        if event.refusal and place not in self._said:
            self._said.add(place)
            yield Delta(refusal=event.refusal)

    def thought(self, event: Event) -> Iterator[Delta]:
        self._thought.add(event.output_index or 0)
        if not event.delta:
            return
        place = (event.output_index or 0, event.summary_index or 0)
        # Each part of a summary is a paragraph of its own.
        gap = "\n\n" if self._summary != (-1, -1) and place != self._summary else ""
        self._summary = place
        yield Delta(reasoning=gap + event.delta)

    def item_added(self, event: Event) -> Iterator[Delta]:
        if event.item is not None and event.item.type in _CALLS:
            yield self._begin(event.item, event.output_index or 0)

    def arguments(self, event: Event) -> Iterator[Delta]:
        index = self._calls.get(event.output_index or 0)
        if index is None:
            raise _broken(self._site, "sent arguments of a call that it has not begun")
        if event.delta:
            self._argued.add(index)
            yield _arguments(index, event.delta)

    def arguments_done(self, event: Event) -> Iterator[Delta]:
        index = self._calls.get(event.output_index or 0)
        whole = event.arguments or event.input
        if index is not None and whole and index not in self._argued:
            self._argued.add(index)
            yield _arguments(index, whole)

    def item_done(self, event: Event) -> Iterator[Delta]:
        if event.item is not None:
            yield from self._rest(event.item, event.output_index or 0)

    def closed(self, event: Event) -> Iterator[Delta]:
        """The response is complete, incomplete or failed."""
        response = event.response
        if response is None:
            raise _broken(self._site, "closed its answer without a word")
        if response.error is not None:
            raise error_for(failure_of(response.error), 0, {}, self._site, 0.0)
        if response.status in ("failed", "cancelled"):
            raise _broken(self._site, f"broke off: {response.status}")
        for index, item in enumerate(response.output or ()):
            yield from self._rest(item, index)
        self.is_done = True
        yield Delta(finish_reason=self._reason(response))
        if response.usage is not None:
            yield Delta(usage=response.usage.counted())

    def _reason(self, response: Response) -> FinishReason:
        details = response.incomplete_details
        if details is not None and details.reason is not None:
            return "content_filter" if details.reason == "content_filter" else "length"
        if response.status == "incomplete":
            return "length"
        return "tool_calls" if self._calls else "stop"

    def _begin(self, item: Item, output_index: int) -> Delta:
        index = self._calls[output_index] = len(self._calls)
        arguments = item.said()
        if arguments:
            self._argued.add(index)
        call = ToolCallDelta(
            index=index,
            id=item.call_id or item.id or f"call_{index}",
            type="function",
            function=FunctionDelta(name=item.name or "", arguments=arguments),
        )
        return Delta(tool_calls=[call])

    def _rest(self, item: Item, output_index: int) -> Iterator[Delta]:
        """What an item holds that no delta has said."""
        if item.type in _CALLS:
            index = self._calls.get(output_index)
            if index is None:
                yield self._begin(item, output_index)
            elif index not in self._argued and item.said():
                self._argued.add(index)
                yield _arguments(index, item.said())
        elif item.type == "message":
            for content_index, part in enumerate(item.content or ()):
                place = (output_index, content_index)
                if place not in self._said and (part.text or part.refusal):
                    self._said.add(place)
                    yield Delta(
                        text=part.text or "",
                        refusal=part.refusal or "",
                        logprobs=tokens_of(part.logprobs),
                    )
        elif item.type == "reasoning" and output_index not in self._thought:
            self._thought.add(output_index)
            parts = [*(item.summary or ()), *(item.content or ())]
            text = "\n\n".join(part.text for part in parts if part.text)
            if text:
                yield Delta(reasoning=text)


def _arguments(index: int, text: str) -> Delta:
    call = ToolCallDelta(index=index, function=FunctionDelta(arguments=text))
    return Delta(tool_calls=[call])


def _failure(event: Event) -> Failure:
    if isinstance(event.error, str):
        return Failure(message=event.error)
    if event.error is not None:
        return failure_of(event.error)
    return failure_of(WireError(message=event.message or "", code=event.code, param=event.param))


def _broken(site: Site, what: str) -> ModelUnavailable:
    return ModelUnavailable(f"{site.provider} {what} ({site.model})")


_HANDLERS: dict[str, Callable[[_Answer, Event], Iterator[Delta]]] = {
    "response.output_text.delta": _Answer.text,
    "response.output_text.done": _Answer.text_done,
    "response.refusal.delta": _Answer.refusal,
    "response.refusal.done": _Answer.refusal_done,
    "response.reasoning_summary_text.delta": _Answer.thought,
    "response.reasoning_text.delta": _Answer.thought,
    "response.output_item.added": _Answer.item_added,
    "response.output_item.done": _Answer.item_done,
    "response.function_call_arguments.delta": _Answer.arguments,
    "response.function_call_arguments.done": _Answer.arguments_done,
    "response.custom_tool_call_input.delta": _Answer.arguments,
    "response.custom_tool_call_input.done": _Answer.arguments_done,
    "response.completed": _Answer.closed,
    "response.incomplete": _Answer.closed,
    "response.failed": _Answer.closed,
    "response.cancelled": _Answer.closed,
}
