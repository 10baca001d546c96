"""What counts as the same question: SHA-256 of everything that decides its answer, and of whose it is.

The digest covers the release, so an edited policy, template or model never meets an older answer.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from headrace.models.cache.question import Question
from headrace.models.cache.settings import Share
from headrace.types import Message

__all__ = ["partition_of", "question_key", "scope_of"]

_encode = msgspec.json.Encoder(order="sorted").encode


def scope_of(question: Question, share: Share) -> tuple[str, ...]:
    """Whose answers the question may get; equal scopes share.

    Whoever names a subject, or goes on with a conversation, is alone with it under their key,
    whatever is declared.
    """
    principal = question.principal
    if share == "key" or question.own_subject or question.in_conversation:
        return ("key", principal.key_id, question.own_subject)
    if share == "team":
        return ("team", principal.team) if principal.team else ("key", principal.key_id, "")
    return ("service",)


def question_key(question: Question, scope: tuple[str, ...]) -> bytes:
    """32 bytes, equal for questions that have the same answer."""
    return _digest("exact", question, scope, question.call.messages)


def partition_of(question: Question, scope: tuple[str, ...]) -> bytes:
    """32 bytes, equal for questions that differ in nothing but their last message."""
    return _digest("semantic", question, scope, question.call.messages[:-1])


def _digest(
    kind: str, question: Question, scope: tuple[str, ...], messages: Sequence[Message]
) -> bytes:
    call = question.call
    said = (
        kind, scope, question.release, question.target, call.completion, call.params, messages,
    )  # fmt: skip
    return hashlib.sha256(_encode(said)).digest()
