"""How many tokens a prompt comes to where nobody can be asked: an estimate that errs upward.

English text has about four letters a token in the tokenizers of today's models, Chinese about one
sign a token, code and figures fewer letters than prose.
"""

from collections.abc import Sequence

from headrace.types import Message

__all__ = [
    "TOKENS_OF_A_PROMPT",
    "TOKENS_PER_MESSAGE",
    "estimate_text_tokens",
    "estimate_tokens",
]

LETTERS_PER_TOKEN = 3.0
"""Below what prose has, so that the estimate errs upward."""
TOKENS_OF_A_PROMPT = 16
"""Around all of its messages."""
TOKENS_PER_MESSAGE = 8
"""Role and separators, as chat templates write them."""
TOKENS_PER_IMAGE = 1_600
"""A large picture at the providers that count pixels."""


def estimate_text_tokens(text: str) -> int:
    """Tokens of one text."""
    if text.isascii():
        return int(len(text) / LETTERS_PER_TOKEN) + 1
    wide = sum(letter > "\u02ff" for letter in text)
    # Most letters beyond Latin are a token of their own, and rare ones two.
    return int((len(text) - wide) / LETTERS_PER_TOKEN + wide * 1.25) + 1


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Tokens of a whole prompt."""
    total = TOKENS_OF_A_PROMPT
    for message in messages:
        total += TOKENS_PER_MESSAGE + estimate_text_tokens(message.text())
        for call in message.tool_calls or ():
            total += TOKENS_PER_MESSAGE + estimate_text_tokens(call.function.arguments)
        if isinstance(message.content, list):
            total += TOKENS_PER_IMAGE * sum("text" not in part for part in message.content)
    return total
