"""What a policy says to users where it has no words of its own, and texts by language."""

from collections.abc import Mapping
from typing import Final

__all__ = ["CARE", "DEFAULT_WORDS", "in_language"]

CARE: Final[Mapping[str, Mapping[str, str]]] = {
    "self-harm": {
        "en": "It sounds as if you are going through a very hard time. You do not have to face it alone. "
        "If you are in danger now, please call your local emergency number. You can talk to someone "
        "at any hour: 988 in the US and Canada, 116 123 in the UK and Ireland, and findahelpline.com "
        "lists free lines in other countries. If you like, tell me what is weighing on you.",
        "zh": "听起来你正在经历非常艰难的时刻，你不必一个人扛。如果你现在有危险，请马上拨打120或110，"
        "或者请身边信任的人陪着你。全国统一心理援助热线12356随时可以拨打，findahelpline.com列有其他国家和"
        "地区的免费热线。如果愿意，可以告诉我是什么让你这么难受。",
    },
}
"""What is said in place of a refusal, by kind and language, to somebody who needs help and no wall.
A policy's own `words` for the kind win; its `messages` do not."""

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
