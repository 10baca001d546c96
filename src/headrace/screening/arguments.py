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
        self._parts: list[str] = []
        """The string, or the text between strings, that has begun; a string with its quote."""
        self._escape = ""
        """A backslash whose character has not come yet."""
        self._in_string = False

    def push(self, text: str) -> str:
        text, self._escape = self._escape + text, ""
        left: list[str] = []
        at = 0
        while at < len(text):
            at = (
                self._scan_string(text, at, left) if self._in_string else self._scan(text, at, left)
            )
        return "".join(left)

    def finish(self, reason: str | None) -> str:
        """The rest; a string that was never closed is lost when the stream broke off."""
        rest = self._take() + self._escape
        self._escape = ""
        if not rest or reason is None:
            return ""
        if self._in_string:
            return '"' + self._screen(rest[1:], wrap=_inner)
        return self._screen(rest, wrap=_quoted)

    def _scan(self, text: str, at: int, left: list[str]) -> int:
        """Go on between strings, up to the next quote; where that is."""
        quote = text.find('"', at)
        if quote < 0:
            self._parts.append(text[at:])
            return len(text)
        self._parts.append(text[at:quote])
        left.append(self._screen(self._take(), wrap=_quoted))
        self._parts.append('"')
        self._in_string = True
        return quote + 1

    def _scan_string(self, text: str, at: int, left: list[str]) -> int:
        """Go on in a string, up to its closing quote or behind the next escape; where that is."""
        special = _SPECIAL.search(text, at)
        if special is None:
            self._parts.append(text[at:])
            return len(text)
        end = special.end()
        if special[0] == "\\":
            if end == len(text):
                self._parts.append(text[at : end - 1])
                self._escape = "\\"
                return end
            self._parts.append(text[at : end + 1])
            return end + 1
        self._parts.append(text[at:end])
        self._in_string = False
        left.append(self._string(self._take()))
        return end

    def _take(self) -> str:
        taken = "".join(self._parts)
        self._parts.clear()
        return taken

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
