"""Puts the service's own words behind an answer, once."""

from collections.abc import Callable, Iterable

from headrace.pipeline.step import TextFilter
from headrace.types import FinishReason

__all__ = ["WithDisclaimers"]


class WithDisclaimers:
    """A filter around another: what it lets go, then the disclaimers that are due by then.

    Not behind an answer that ends in a tool call or broke off, nor one that said nothing, nor one
    that says the same already.
    """

    def __init__(self, inner: TextFilter | None, due: Callable[[], Iterable[str]]) -> None:
        self._inner = inner
        self._due = due
        self._said: list[str] = []

    def push(self, text: str) -> str:
        if self._inner is not None:
            text = self._inner.push(text)
        if text:
            self._said.append(text)
        return text

    def finish(self, reason: FinishReason | None) -> str:
        rest = self._inner.finish(reason) if self._inner is not None else ""
        said = "".join((*self._said, rest))
        if reason not in ("stop", "length") or not said.strip():
            return rest
        return rest + "".join(f"\n\n{each}" for each in self._due() if each and each not in said)
