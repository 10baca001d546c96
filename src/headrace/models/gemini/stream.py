"""What Gemini answers, streamed or whole, as deltas: both are the same chunks.

Parts of the provider's own tools (executed code, pictures) are not shown: OpenAI's answers have no
place for them.
"""

from collections.abc import Iterator

import msgspec

from headrace.errors import ModelUnavailable
from headrace.ids import new_id
from headrace.models.dialect.carried import carry
from headrace.models.dialect.reading import read_json, unreadable
from headrace.models.dialect.whole import merged
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.gemini.contents import OWN_ID
from headrace.models.gemini.errors import Failure, failure_of
from headrace.models.gemini.usage import Tokens, usage_of
from headrace.models.sse import EventReader
from headrace.types import Delta, FinishReason, FunctionDelta, TokenLogprob, ToolCallDelta

__all__ = ["ContentReader", "deltas_of_content"]

_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    # The provider's own tools were called too often: the answer is not whole.
    "TOO_MANY_TOOL_CALLS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}


class _FunctionCall(msgspec.Struct):
    name: str
    args: dict[str, object] | None = None
    id: str = ""


class _Part(msgspec.Struct, rename="camel"):
    text: str = ""
    thought: bool = False
    function_call: _FunctionCall | None = None
    thought_signature: str = ""


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Top(msgspec.Struct):
    candidates: list[_Token] = []


class _Logprobs(msgspec.Struct, rename="camel"):
    top_candidates: list[_Top] = []
    chosen_candidates: list[_Token] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str = ""
    index: int = 0
    logprobs_result: _Logprobs | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str = ""
    block_reason_message: str = ""


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: Tokens | None = None
    error: Failure | None = None


class ContentReader:
    """Reads one streamed answer."""

    def __init__(self, *, model: str) -> None:
        self._events = EventReader()
        self._model = model
        self._tokens: Tokens | None = None
        self._calls: dict[int, int] = {}
        """Tool calls of each candidate so far."""
        self._finished: set[int] = set()

    def feed(self, packet: bytes) -> Iterator[Delta]:
        """The deltas that this packet completes.

        Raises:
            ModelUnavailable: Gemini reports a failure, or what came is not its protocol.
        """
        try:
            for data in self._events.feed(packet):
                yield from self.read(data)
        except ValueError as error:
            raise unreadable("Gemini", error) from error

    def read(self, data: bytes) -> Iterator[Delta]:
        """The deltas of one chunk.

        Raises:
            ModelUnavailable: Gemini reports a failure, or what came is not its protocol.
        """
        chunk = read_json(data, _Chunk, "Gemini")
        if chunk.error is not None:
            failure = failure_of(chunk.error, model=self._model)
            if isinstance(failure, ModelUnavailable):
                raise failure
            raise ModelUnavailable(f"Gemini broke off: {chunk.error.message}")
        for candidate in chunk.candidates:
            yield from self._candidate(candidate)
        if chunk.usage_metadata is not None:
            self._tokens = chunk.usage_metadata
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and not self._calls:
            # The prompt itself was refused: there is no candidate.
            self._calls[0] = 0
            self._finished.add(0)
            yield Delta(refusal=feedback.block_reason_message, finish_reason="content_filter")

    def end(self) -> Iterator[Delta]:
        """The usage, which the last chunk has.

        Raises:
            ModelUnavailable: the stream ended before all candidates were finished.
        """
        if not self._calls or self._finished != self._calls.keys():
            raise ModelUnavailable("Gemini ended its answer too early")
        yield Delta(usage=usage_of(self._tokens or Tokens()))

    def _candidate(self, candidate: _Candidate) -> Iterator[Delta]:
        index = candidate.index
        if index in self._finished:
            return
        self._calls.setdefault(index, 0)
        for part in candidate.content.parts if candidate.content is not None else ():
            if part.function_call is not None:
                yield self._call(index, part.function_call, part.thought_signature)
            elif part.text:
                reasoning, text = (part.text, "") if part.thought else ("", part.text)
                yield Delta(index, text=text, reasoning=reasoning)
        if candidate.logprobs_result is not None:
            yield Delta(index, logprobs=_logprobs(candidate.logprobs_result))
        if candidate.finish_reason is not None:
            yield self._finish(index, candidate.finish_reason, candidate.finish_message)

    def _call(self, index: int, call: _FunctionCall, signature: str) -> Delta:
        call_id = call.id or OWN_ID + new_id()
        if signature:
            call_id = carry(call_id, "g", signature.encode())
        number = self._calls[index]
        self._calls[index] += 1
        arguments = msgspec.json.encode(call.args or {}).decode()
        function = FunctionDelta(name=call.name, arguments=arguments)
        piece = ToolCallDelta(number, id=call_id, type="function", function=function)
        return Delta(index, tool_calls=[piece])

    def _finish(self, index: int, reason: str, message: str) -> Delta:
        finish = _FINISH.get(reason)
        why = f"{reason}{f' ({message})' if message else ''}"
        if reason == "PUP_LIMITED_DISABLED":
            raise DeploymentMisconfigured(
                f"Gemini stopped: {why}", hint="the account is limited; see Google's notice"
            )
        if finish is None:
            raise ModelUnavailable(f"Gemini broke off: {why}")
        self._finished.add(index)
        if finish == "stop" and self._calls[index]:
            finish = "tool_calls"
        refusal = message if finish == "content_filter" else ""
        return Delta(index, refusal=refusal, finish_reason=finish)


def _logprobs(result: _Logprobs) -> list[TokenLogprob]:
    tops = result.top_candidates
    return [
        _logprob(chosen, tops[i].candidates if i < len(tops) else [])
        for i, chosen in enumerate(result.chosen_candidates)
    ]


def _logprob(token: _Token, tops: list[_Token]) -> TokenLogprob:
    return TokenLogprob(
        token.token,
        token.log_probability,
        bytes=list(token.token.encode()),
        top_logprobs=[_logprob(each, []) for each in tops],
    )


def deltas_of_content(body: bytes, *, model: str) -> list[Delta]:
    """The deltas of an answer that came in one piece.

    Raises:
        ModelUnavailable: it is no answer of this protocol.
    """
    reader = ContentReader(model=model)
    return merged([*reader.read(body), *reader.end()])
