"""Screening tool-call arguments: JSON text, of which each string is screened by itself.

A string is held back until its closing quote, then decoded, screened and written again; so what
leaves stays JSON, whatever was masked. Strings that nothing was found in leave as they came.
"""

import json
import re
from collections.abc import Callable
from typing import Protocol

__all__ = ["ArgumentsScreen", "ScreenText", "screen_arguments"]

_SPECIAL = re.compile(r'["\\]')


class ScreenText(Protocol):
    """Screens one whole text; `wrap` is applied to what is put in place of a match."""

    def __call__(self, text: str, *, wrap: Callable[[str], str]) -> str: ...


class ArgumentsScreen:
    """A filter over the arguments of one tool call."""

    def __init__(self, screen: ScreenText) -> None:
        self._screen = screen
        self._text = ""
        self._scanned = 0
        self._in_string = False

    def push(self, text: str) -> str:
        self._text += text
        left: list[str] = []
        while (piece := self._next()) is not None:
            left.append(piece)
        return "".join(left)

    def finish(self, reason: str | None) -> str:
        """The rest; a string that was never closed is lost when the stream broke off."""
        rest, self._text = self._text, ""
        if not rest or reason is None:
            return ""
        if self._in_string:
            return '"' + self._screen(rest[1:], wrap=_inner)
        return self._screen(rest, wrap=_quoted)

    def _next(self) -> str | None:
        """The next whole string, or whole text between strings; None when more must come."""
        if not self._in_string:
            quote = self._text.find('"', self._scanned)
            if quote < 0:
                self._scanned = len(self._text)
                return None
            between, self._text = self._text[:quote], self._text[quote:]
            self._in_string, self._scanned = True, 1
            return self._screen(between, wrap=_quoted)
        while special := _SPECIAL.search(self._text, self._scanned):
            if special[0] == '"':
                string, self._text = self._text[: special.end()], self._text[special.end() :]
                self._in_string, self._scanned = False, 0
                return self._string(string)
            self._scanned = special.end() + 1
            if self._scanned > len(self._text):
                self._scanned = special.start()
                return None
        self._scanned = len(self._text)
        return None

    def _string(self, literal: str) -> str:
        try:
            text = json.loads(literal, strict=False)
        except ValueError:
            return f'"{self._screen(literal[1:-1], wrap=_inner)}"'
        screened = self._screen(text, wrap=str)
        return literal if screened == text else _quoted(screened)


def screen_arguments(arguments: str, screen: ScreenText) -> str:
    """Arguments that are there as a whole."""
    each = ArgumentsScreen(screen)
    return each.push(arguments) + each.finish("stop")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _inner(text: str) -> str:
    return _quoted(text)[1:-1]
