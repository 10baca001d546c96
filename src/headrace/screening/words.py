"""What a policy says to users where it has no words of its own, and texts by language."""

from collections.abc import Mapping
from typing import Final

__all__ = ["DEFAULT_WORDS", "in_language"]

DEFAULT_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "block": {
        "en": "This request was stopped by a content policy.",
        "zh": "该请求因内容政策而被阻止。",
    },
    "ask": {
        "en": "This was found: {kinds}. Shall it be sent all the same? Please confirm.",
        "zh": "发现了以下内容：{kinds}。仍要发送吗？请确认。",
    },
    "escalate": {
        "en": "A person looks at this first. Please come back to it later.",
        "zh": "此内容需先由人工审核，请稍后再来查看。",
    },
}
"""By action and language; `{kinds}` is what was found."""


def in_language(texts: Mapping[str, str], language: str | None) -> str:
    """The text in a language (ISO 639-1), else in English, else the first there is."""
    return (
        texts.get(language or "en")
        or texts.get("en")
        or next(iter(texts.values()), DEFAULT_WORDS["block"]["en"])
    )
