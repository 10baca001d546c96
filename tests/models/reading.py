"""Reading a deployment's answers in tests."""

import itertools
from collections.abc import Iterable, Sequence
from contextlib import aclosing

from headrace.models.backend import Backend, Call
from headrace.models.remote import Reader
from headrace.types import Delta, Message, Params, Usage

__all__ = ["ask", "calls_of", "collect", "cut", "finish_of", "read", "text_of", "usage_of"]


def ask(
    *messages: Message, stream: bool = True, completion: bool = False, **params: object
) -> Call:
    """A call; without messages somebody says hello."""
    said = messages or (Message("user", "Say hello"),)
    return Call(said, Params(**params), completion=completion, stream=stream)  # type: ignore[arg-type]


async def collect(backend: Backend, call: Call | None = None) -> list[Delta]:
    """Every delta of an answer."""
    async with aclosing(backend.generate(call or ask())) as deltas:
        return [delta async for delta in deltas]


def read(reader: Reader, packets: Iterable[bytes]) -> list[Delta]:
    """The deltas of a stream that comes in these packets."""
    deltas = [delta for packet in packets for delta in reader.feed(packet)]
    return [*deltas, *reader.end()]


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data, cut at these places."""
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def text_of(deltas: Iterable[Delta], index: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.index == index)


def finish_of(deltas: Iterable[Delta]) -> dict[int, str]:
    """Finish reasons by choice."""
    return {each.index: each.finish_reason for each in deltas if each.finish_reason is not None}


def usage_of(deltas: Iterable[Delta]) -> Usage:
    """The usage, which comes once."""
    (usage,) = [each.usage for each in deltas if each.usage is not None]
    return usage


def calls_of(deltas: Iterable[Delta]) -> list[tuple[str, str, str]]:
    """Tool calls as a client puts them together: id, name, arguments."""
    calls: dict[int, list[str]] = {}
    for piece in (piece for delta in deltas for piece in delta.tool_calls or ()):
        call = calls.setdefault(piece.index, ["", "", ""])
        call[0] += piece.id or ""
        if piece.function is not None:
            call[1] += piece.function.name or ""
            call[2] += piece.function.arguments or ""
    return [(call[0], call[1], call[2]) for _, call in sorted(calls.items())]
