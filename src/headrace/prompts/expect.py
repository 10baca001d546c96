"""Whether an answer is what a test expects of it. Compares letters, never judges."""

import re
from collections.abc import Callable, Iterator

from headrace.prompts.file import Expectation
from headrace.prompts.schema import misfit

__all__ = ["failures"]

_SENTENCE_END = re.compile(r"[.!?。！？]+(?=\s|$)|(?<=[。！？])")


def failures(
    answer: str, expect: Expectation, *, language_of: Callable[[str], str | None]
) -> list[str]:
    """What is not as expected, each in a sentence; empty when all is.

    Args:
        language_of: names a text's language; None when it cannot tell.
    """
    return list(_failures(answer, expect, language_of))


def _failures(
    answer: str, expect: Expectation, language_of: Callable[[str], str | None]
) -> Iterator[str]:
    yield from _words(answer, expect)
    if expect.language is not None:
        found = language_of(answer)
        if found != expect.language:
            yield f"is in {found or 'no language that can be told'}, not in {expect.language}"
    yield from _lengths(answer.strip(), expect)
    if expect.schema is not None and (wrong := misfit(answer, expect.schema)):
        yield wrong


def _words(answer: str, expect: Expectation) -> Iterator[str]:
    folded = answer.casefold()
    for text in expect.contains:
        if text.casefold() not in folded:
            yield f"does not contain {text!r}"
    for text in expect.excludes:
        if text.casefold() in folded:
            yield f"contains {text!r}"
    if expect.any_of and not any(text.casefold() in folded for text in expect.any_of):
        yield f"contains none of {', '.join(map(repr, expect.any_of))}"
    if expect.matches is not None and not re.search(expect.matches, answer):
        yield f"does not match {expect.matches}"
    if expect.equals is not None and _plain(answer) != _plain(expect.equals):
        yield f"is not {expect.equals!r}"


def _lengths(answer: str, expect: Expectation) -> Iterator[str]:
    if expect.min_chars is not None and len(answer) < expect.min_chars:
        yield f"has {len(answer)} characters, fewer than {expect.min_chars}"
    if expect.max_chars is not None and len(answer) > expect.max_chars:
        yield f"has {len(answer)} characters, more than {expect.max_chars}"
    if expect.max_sentences is not None:
        count = len([each for each in _SENTENCE_END.split(answer) if each.strip()])
        if count > expect.max_sentences:
            yield f"has {count} sentences, more than {expect.max_sentences}"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .。!！")
