"""Typography per language: quotes, apostrophes, French spacing, Chinese-Latin spacing.

Leaves alone: code, URLs, HTML attributes, feet and inches, single quotes that are no apostrophe.
"""

from headrace.pipeline.steps.refine.span import Span
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["Typography"]

_QUOTES = {
    "en": "“”",
    "nl": "“”",
    "es": "“”",
    "pt": "“”",
    "it": "“”",
    "tr": "“”",
    "vi": "“”",
    "zh": "“”",
    "de": "„“",
    "cs": "„“",
    "bg": "„“",
    "pl": "„”",
    "ro": "„”",
    "hu": "„”",
    "fr": "«»",
    "ru": "«»",
    "uk": "«»",
    "no": "«»",
    "sv": "””",
    "fi": "””",
}
_APOSTROPHE = frozenset(("en", "fr", "it", "nl", "de", "es", "pt", "ca", "uk"))
_NARROW = "\u202f"
_OPENS_AFTER = frozenset(" \t\n\r\u00a0\u202f([{<—–-/“„«‘*_>")
_LONGEST_TOKEN = 200


class Typography:
    """Rewrites one character at a time, knowing the one before; holds back one at most."""

    def __init__(self, tally: Tally, language: str) -> None:
        self._tally = tally
        self._quotes = _QUOTES.get(language)
        self._apostrophe = language in _APOSTROPHE
        self._french = language == "fr"
        self._chinese = language == "zh"
        self._before = "\n"
        """The last character of the text as the model wrote it."""
        self._token = ""
        """What has come since the last space."""
        self._opened = False
        self._attribute = False
        self._held = ""

    def push(self, span: Span) -> list[Span]:
        if span.kind != "prose":
            out = [*self._finish_held(), span]
            self._before = "`"
            return out
        text, self._held = self._held + span.text, ""
        if text[-1] in "';:!?»\"" and (self._french or text[-1] == "'"):
            self._held, text = text[-1], text[:-1]
        return self._rewrite(text, self._held)

    def take(self, text: str, word: str) -> bool:
        return False

    def finish(self, reason: FinishReason | None) -> list[Span]:
        return self._finish_held()

    def _finish_held(self) -> list[Span]:
        held, self._held = self._held, ""
        return self._rewrite(held, "")

    def _rewrite(self, text: str, after: str) -> list[Span]:
        following = text[1:] + (after or "\n")
        out = "".join(map(self._character, text, following))
        return [Span(out, "prose")] if out else []

    def _character(self, char: str, after: str) -> str:
        before, self._before = self._before, char
        if char.isspace():
            self._token = ""
            if char == "\n":
                self._opened = self._attribute = False
            return char
        self._token = (self._token + char)[-_LONGEST_TOKEN:]
        if "://" in self._token:
            return char
        changed = self._changed(char, before, after)
        if changed != char:
            self._tally.count("typography")
        return changed

    def _changed(self, char: str, before: str, after: str) -> str:
        if char == '"':
            return self._quote(before)
        if char == "'":
            between = before.isalpha() and after.isalpha()
            return "’" if between and self._apostrophe else char
        if self._french and char in ";:!?»" and after.isspace():
            return char if before.isspace() or before in ";:!?" else _NARROW + char
        if self._chinese and _meet(before, char):
            return " " + char
        return char

    def _quote(self, before: str) -> str:
        if self._quotes is None:
            return '"'
        if self._attribute:
            self._attribute = False
            return '"'
        if before == "=":
            self._attribute = True
            return '"'
        opening, closing = tuple(self._quotes)
        if self._opened:
            self._opened = False
            return (_NARROW if self._french else "") + closing
        if before not in _OPENS_AFTER and not _is_han(before):
            return '"'
        self._opened = True
        return opening + (_NARROW if self._french else "")


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf"


def _meet(before: str, char: str) -> bool:
    """Whether a Chinese and a Latin character or digit stand side by side."""
    latin_before = before.isascii() and before.isalnum()
    latin = char.isascii() and char.isalnum()
    return (latin_before and _is_han(char)) or (latin and _is_han(before))
