"""`POST /moderations` of a server: what is asked, and what it says about each input."""

from collections.abc import Sequence

import msgspec

from headrace.models.backend import ModerationInput, ModerationResult

__all__ = ["moderation_body", "results_in"]


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None]
    """Null: a category that this model does not judge."""
    category_scores: dict[str, float | None]


class _Results(msgspec.Struct):
    results: list[msgspec.Raw]


def moderation_body(given: ModerationInput, model: str) -> bytes:
    return msgspec.json.encode({"model": model, "input": given})


def results_in(body: bytes) -> Sequence[ModerationResult]:
    """One for each input, as the server said it: further fields stay.

    Raises:
        msgspec.DecodeError: it is no answer of this kind.
    """
    results = msgspec.json.decode(body, type=_Results).results
    for each in results:
        msgspec.json.decode(each, type=_Result)
    return [msgspec.json.decode(each, type=dict[str, object]) for each in results]
