"""Running the calls of one round: at the same time, each within its bounds, each a span."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from headrace.errors import HeadraceError
from headrace.pipeline.tools.errors import ToolFailed
from headrace.pipeline.tools.tool import Function, Result
from headrace.pipeline.turn import Turn
from headrace.screening.placeholder import find_placeholders
from headrace.telemetry.semconv import EXECUTE_TOOL
from headrace.telemetry.trace import Span
from headrace.types import ToolCall

__all__ = ["MOST_CALLS", "Done", "run_calls"]

MOST_CALLS = 8
"""Calls of one round that are run; the model is told that the others were not."""
_AT_ONCE = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one call."""

    call: ToolCall
    function: Function
    result: Result
    span: Span


async def run_calls(
    turn: Turn,
    calls: Sequence[ToolCall],
    functions: Mapping[str, Function],
    made: set[tuple[str, str]],
    *,
    deadline: float,
    parent: int | None,
) -> list[Done]:
    """The results in order. Cancelled, or failing, it leaves no call running.

    Args:
        functions: by name; every call's is there.
        made: name and arguments of the calls so far; those made here are added.
        deadline: in the event loop's seconds.
        parent: the span that the calls' spans stand under.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(at: int, call: ToolCall) -> Done:
        function = functions[call.function.name]
        span = _span(turn, call, function, parent)
        try:
            arguments = _arguments(at, call, function, made)
            if function.settings.unmask:
                arguments = _unmasked(turn, arguments)
            async with slots:
                result = await _within(function, arguments, turn, deadline)
        except ToolFailed as error:
            span.error = error.code
            result = Result(text=error.message, is_error=True)
        except asyncio.CancelledError:
            span.error = "cancelled"
            raise
        finally:
            span.duration_s = turn.trace.elapsed_s() - span.start_s
        if result.is_error and span.error is None:
            span.error = ToolFailed.code
        return Done(call, function, result, span)

    tasks = [asyncio.ensure_future(one(at, call)) for at, call in enumerate(calls)]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _span(turn: Turn, call: ToolCall, function: Function, parent: int | None) -> Span:
    span = Span(name=EXECUTE_TOOL, start_s=turn.trace.elapsed_s(), parent=parent)
    span.attributes.update(
        {
            "gen_ai.operation.name": EXECUTE_TOOL,
            "gen_ai.tool.name": function.name,
            "gen_ai.tool.type": function.kind,
            "gen_ai.tool.call.id": call.id,
            "headrace.execute_tool.tool": function.tool,
        }
    )
    turn.trace.spans.append(span)
    return span


def _arguments(
    at: int, call: ToolCall, function: Function, made: set[tuple[str, str]]
) -> Mapping[str, object]:
    """The call's arguments; raises ToolFailed for those that cannot be used."""
    if at >= MOST_CALLS:
        raise ToolFailed(f"not run: at most {MOST_CALLS} calls at once")
    try:
        arguments = msgspec.json.decode(call.function.arguments.strip() or "{}")
    except (msgspec.DecodeError, RecursionError):
        raise ToolFailed("the arguments are not JSON") from None
    if mistake := function.schema.mistake(arguments):
        raise ToolFailed(f"the arguments do not fit: {mistake}")
    if not isinstance(arguments, dict):
        raise ToolFailed("the arguments are not a JSON object")
    key = (function.name, msgspec.json.encode(arguments, order="sorted").decode())
    if key in made:
        raise ToolFailed("this very call was made before; its result is above")
    made.add(key)
    return arguments


def _unmasked(turn: Turn, arguments: Mapping[str, object]) -> Mapping[str, object]:
    """The arguments with what the prompt's masks stand for."""

    def restored(text: str) -> str:
        for written in reversed(list(find_placeholders(text))):
            value = turn.masks.value(written.placeholder)
            if value is not None:
                text = text[: written.start] + value + text[written.end :]
        return text

    def within(value: object) -> object:
        if isinstance(value, str):
            return restored(value)
        if isinstance(value, list):
            return [within(each) for each in value]
        if isinstance(value, dict):
            return {name: within(each) for name, each in value.items()}
        return value

    return {name: within(value) for name, value in arguments.items()} if turn.masks else arguments


async def _within(
    function: Function, arguments: Mapping[str, object], turn: Turn, deadline: float
) -> Result:
    """What the tool gives in its time."""
    limit_s = function.settings.timeout_s
    left_s = deadline - asyncio.get_running_loop().time()
    timer = asyncio.timeout(max(0.0, min(limit_s, left_s)))
    try:
        async with timer:
            return await function.run(arguments, turn.principal)
    except ToolFailed:
        raise
    except TimeoutError as error:
        if timer.expired():
            raise ToolFailed(f"no result within {min(limit_s, left_s):.3g} s") from error
        raise ToolFailed("the tool did not get an answer in time") from error
    except HeadraceError as error:
        raise ToolFailed(error.message) from error
    except Exception as error:
        # One tool's defect must not end an answer; the log has it whole.
        _log.exception("the tool %s failed in turn %s", function.tool, turn.id)
        raise ToolFailed("the tool failed") from error
