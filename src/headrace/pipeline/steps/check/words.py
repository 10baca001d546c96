"""What the user, or the model, is told about claims that the passages do not support."""

import re
from collections.abc import Mapping, Sequence

from headrace.pipeline.turn import Turn

__all__ = ["correction", "language_of", "refusal", "warning"]

_HAN = re.compile(r"[\u3400-\u9fff]")
_REFUSAL = {
    "en": "This is not in the sources.",
    "zh": "资料中没有相关内容。",
}
_WARNING = {
    "en": "\n\n> Note: parts of this answer are not supported by the sources.",
    "zh": "\n\n> 注意：这个回答有部分内容在资料中找不到依据。",
}
_CORRECTION = {
    "en": (
        "The passages do not support these statements of your answer:\n{claims}\n"
        "Write the answer again. Say only what the passages say, and put the number of the passage "
        "behind each statement. Do not mention this message."
    ),
    "zh": (
        "你的回答中，下列说法在资料中找不到依据：\n{claims}\n"
        "请重新回答。只写资料中有的内容，并在每个说法之后注明资料编号。不要提及这条消息。"
    ),
}


def language_of(turn: Turn) -> str:
    """The user's language, as far as there are words in it."""
    if turn.language is not None:
        return "zh" if turn.language == "zh" else "en"
    return "zh" if _HAN.search(turn.question) else "en"


def refusal(turn: Turn, messages: Mapping[str, str]) -> str:
    """What stands in place of an answer that is refused."""
    return (
        messages.get(turn.language or "")
        or messages.get(language_of(turn))
        or _REFUSAL[language_of(turn)]
    )


def warning(turn: Turn) -> str:
    """What stands behind an answer that goes out all the same."""
    return _WARNING[language_of(turn)]


def correction(turn: Turn, claims: Sequence[str]) -> str:
    """What the model is asked when it is asked again."""
    listed = "\n".join(f"- {claim}" for claim in claims)
    return _CORRECTION[language_of(turn)].format(claims=listed)
