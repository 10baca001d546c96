"""A step of someone's own that has two passages for every turn."""

from headrace.knowledge.passage import Passage
from headrace.pipeline.step import Settings, Step
from headrace.pipeline.turn import Turn

__all__ = ["PASSAGES", "CitesStep"]

LEAVE = "Full-time employees receive 25 days of paid leave per calendar year."
PASSAGES = (
    Passage(
        id="leave", uri="handbook/leave.md", title="Handbook", headings=("Leave", "Paid leave"),
        page=None, start=120, end=120 + len(LEAVE), text=LEAVE, score=0.9,
    ),
    Passage(
        id="travel", uri="https://example.org/travel", title="Travel", headings=(), page=3,
        start=0, end=29, text="Trains are booked in class 2.", score=0.5,
    ),
)  # fmt: skip


class CitesStep(Step[Settings]):
    """Grounds every turn in the same passages."""

    name = "cites"

    async def prepare(self, turn: Turn) -> None:
        turn.passages = PASSAGES
