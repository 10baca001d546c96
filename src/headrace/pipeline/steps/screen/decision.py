"""What comes of findings: notes, disclaimers, entries of the review queue, refusals."""

import re
from collections.abc import Collection, Sequence

from headrace.errors import PolicyBlocked
from headrace.pipeline.steps.screen.confirm import Asked, Confirmations, digest_of
from headrace.pipeline.steps.screen.errors import ConfirmationRequired
from headrace.pipeline.steps.screen.message import texts_of
from headrace.pipeline.turn import Turn
from headrace.screening.finding import STRENGTH, Finding, Side
from headrace.screening.policy import Policy
from headrace.telemetry.escalation import Escalation

__all__ = [
    "CONFIRM",
    "confirmed_kinds",
    "disclaimers_of",
    "language_of",
    "refusal",
    "renote",
    "settle",
]

CONFIRM = "confirm"
"""The key in a request's metadata; a header of the gateway ends there, too."""
_DISCLAIMERS = "screen.disclaimers"
_HAN = re.compile(r"[\u3400-\u9fff]")
_HINT = "rephrase the request; what the policy stops is up to who runs this service"


def language_of(turn: Turn) -> str:
    """The user's language as far as anybody knows; empty if not."""
    return turn.language or ("zh" if _HAN.search(turn.question) else "")


def settle(
    turn: Turn,
    policy: Policy,
    side: Side,
    found: Sequence[Finding],
    text: str,
    confirmations: Confirmations,
) -> None:
    """Note what was found, and do what is to be done about it.

    Args:
        text: what a person would have to read, should it come to that.

    Raises:
        PolicyBlocked: the text is stopped, or waits for a person.
        ConfirmationRequired: the user has to confirm it.
    """
    turn.findings.extend(found)
    for each in found:
        if each.action == "disclaimer":
            words = policy.disclaimer(each.kind, language_of(turn))
            disclaimers_of(turn).setdefault(words, None)
    waiting = [each for each in found if each.action == "escalate"]
    if waiting:
        first = max(waiting, key=lambda each: (each.note != "sent", each.score))
        turn.escalations.append(
            Escalation(
                policy=policy.version,
                side=side,
                kind=first.kind,
                detector=first.detector,
                score=first.score,
                withheld=first.note != "sent",
                text=text,
            )
        )
    refused = refusal(turn, policy, found, confirmations)
    if refused is not None:
        raise refused


def renote(turn: Turn, policy: Policy, found: Sequence[Finding]) -> None:
    """Note once more what was noted before the model broke off and the turn began anew."""
    turn.findings += [each for each in found if not any(each is kept for kept in turn.findings)]
    for each in found:
        if each.action == "disclaimer":
            disclaimers_of(turn).setdefault(policy.disclaimer(each.kind, language_of(turn)), None)


def refusal(
    turn: Turn, policy: Policy, found: Sequence[Finding], confirmations: Confirmations
) -> PolicyBlocked | None:
    """What the strongest of some findings comes to; None where the turn goes on."""
    stopping = [
        each
        for each in found
        if each.action in ("block", "ask") or (each.action == "escalate" and each.note != "sent")
    ]
    if not stopping:
        return None
    first = max(stopping, key=lambda each: STRENGTH[each.action])
    words = policy.message(language_of(turn), first.kind, first.action)
    if first.action != "ask":
        return PolicyBlocked(words, hint=_HINT)
    wanted: set[Asked] = {(each.side, each.kind) for each in stopping}
    wanted |= _confirmed(turn, policy, confirmations)
    token = confirmations.issue(_digest(turn, policy), wanted)
    asked = ConfirmationRequired(
        words.replace("{kinds}", ", ".join(sorted({kind for _, kind in wanted}))),
        hint=f"to confirm, send the same request again with the header `x-headrace-confirm: {token}`",
    )
    asked.confirmation = token
    return asked


def confirmed_kinds(
    turn: Turn, policy: Policy, side: Side, confirmations: Confirmations
) -> frozenset[str]:
    """What the user has confirmed on a side, for these very messages."""
    asked = _confirmed(turn, policy, confirmations)
    return frozenset(kind for where, kind in asked if where == side)


def disclaimers_of(turn: Turn) -> dict[str, None]:
    """The texts that stand behind the answer, in order."""
    kept = turn.state.setdefault(_DISCLAIMERS, {})
    assert isinstance(kept, dict)
    return kept


def _confirmed(turn: Turn, policy: Policy, confirmations: Confirmations) -> frozenset[Asked]:
    token = turn.metadata.get(CONFIRM, "")
    return confirmations.asked(token, _digest(turn, policy)) if token else frozenset()


def _digest(turn: Turn, policy: Policy) -> str:
    texts: Collection[str] = list(texts_of(turn.received or turn.messages))
    return digest_of((turn.principal.key_id, turn.subject, policy.version, *texts))
