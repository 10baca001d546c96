"""What costly detectors say: side by side, within the policy's budget, cut off when it ends."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from headrace.errors import ModelUnavailable, NotFound, UnknownModel
from headrace.pipeline.steps.screen.kit import Kit
from headrace.screening.assembly import CostlyUse
from headrace.screening.finding import CostlyDetector, Side, Span
from headrace.screening.match import RAISED, Match, fault, matched
from headrace.screening.policy import Policy
from headrace.screening.rule import SideRules
from headrace.screening.worker import DetectorFailed
from headrace.types import Role

__all__ = ["Judged", "Piece", "doubted", "judge"]

_TIMEOUT = "fault.timeout"
_UNAVAILABLE = "fault.unavailable"


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A text to look at, as the model reads or wrote it, and the rules for it."""

    text: str
    rules: SideRules
    message: int | None = None
    """Index of the message, on the input side."""
    role: Role | None = None
    part: int = 0
    """Which of the message's texts it is."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A match in one of the pieces."""

    piece: Piece
    match: Match


def doubted(matches: Collection[Match], policy: Policy) -> frozenset[str]:
    """The kinds about which quick detectors are in doubt."""
    low, high = policy.doubt
    return frozenset(each.kind for each in matches if low <= each.score < high)


async def judge(
    policy: Policy, side: Side, pieces: Sequence[Piece], kit: Kit, doubts: Collection[str]
) -> list[Judged]:
    """What every costly detector that has to look finds in the pieces. Never raises for one of them.

    One that computes without ever waiting, though it is written as one that waits, holds up the
    whole service: such a detector needs `detect` in place of `judge`, see finding.py.
    """
    uses = [
        each
        for each in policy.costly_for(side)
        if not each.in_doubt or set(each.detector.kinds) & set(doubts)
    ]
    if not uses or not pieces:
        return []
    tasks = {asyncio.ensure_future(_look(each, pieces, kit)): each for each in uses}
    try:
        await asyncio.wait(tasks, timeout=policy.budget_s)
    finally:
        for task in tasks:
            task.cancel()
    found: list[Judged] = []
    for task, use in tasks.items():
        found += _outcome(task, use, policy, pieces)
    return sorted(found, key=lambda each: (each.piece.message or 0, each.piece.part))


def _outcome(
    task: "asyncio.Task[list[tuple[Piece, Span]]]",
    use: CostlyUse,
    policy: Policy,
    pieces: Sequence[Piece],
) -> list[Judged]:
    """The matches of one detector, or the fault that stands for them."""
    name = use.detector.name
    first = pieces[0]
    if not task.done() or task.cancelled():
        task.add_done_callback(_forget)
        mode = policy.file.on_timeout or "closed"
        late = fault(first.rules, name, 0, len(first.text), "", _TIMEOUT, mode=mode)
        return [Judged(first, late)]
    error = task.exception()
    if error is not None:
        kind = (
            _UNAVAILABLE
            if isinstance(error, ModelUnavailable | NotFound | UnknownModel | OSError | ImportError)
            else RAISED
        )
        note = str(error) if isinstance(error, DetectorFailed) else type(error).__name__
        return [Judged(first, fault(first.rules, name, 0, len(first.text), note, kind))]
    return [
        Judged(piece, match)
        for piece, span in task.result()
        if (match := _match(piece, span, name)).action != "allow"
    ]


def _match(piece: Piece, span: Span, name: str) -> Match:
    rule = piece.rules.rule(span, piece.text)
    return matched(piece.rules, rule, span.start, span.end, span.kind, name, span.score, span.note)


async def _look(use: CostlyUse, pieces: Sequence[Piece], kit: Kit) -> list[tuple[Piece, Span]]:
    found: list[tuple[Piece, Span]] = []
    for piece in pieces:
        if isinstance(use.detector, CostlyDetector):
            spans = await use.detector.judge(piece.text, kit)
        else:
            spans = await kit.worker(use.detector.name).detect(piece.text)
        # Only people ask off the topic; what a tool gives is about what it is about.
        found += (
            (piece, each) for each in spans if each.kind != "off_topic" or piece.role == "user"
        )
    return found


def _forget(task: "asyncio.Task[list[tuple[Piece, Span]]]") -> None:
    """Nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
