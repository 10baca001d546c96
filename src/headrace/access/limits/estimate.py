"""How many tokens a call reserves before anybody knows what it will use."""

__all__ = ["LONGEST_ANSWER", "USUAL_ANSWER", "reserved_tokens"]

USUAL_ANSWER = 1024
"""Tokens reserved for an answer whose length the request does not bound."""
LONGEST_ANSWER = 4096
"""Tokens reserved at most: clients ask for 128,000 and use 300, and would lock each other out.
What an answer takes beyond that counts when it is settled."""


def reserved_tokens(prompt_tokens: int, max_tokens: int | None, *, answers: int = 1) -> int:
    """Prompt and answers together.

    Args:
        prompt_tokens: counted or estimated.
        max_tokens: what the request allows an answer; None where it does not say.
        answers: how many it asks for (`n`).
    """
    each = min(USUAL_ANSWER if max_tokens is None else max_tokens, LONGEST_ANSWER)
    return max(1, prompt_tokens + each * max(1, answers))
