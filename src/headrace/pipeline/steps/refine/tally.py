"""What refining one turn has changed so far, and whether an answer has been ended early."""

from headrace.pipeline.turn import Turn

__all__ = ["Tally"]


class Tally:
    """Counts of one choice, written to `turn.state["refine"]` as they happen."""

    def __init__(self, turn: Turn, counts: dict[str, int]) -> None:
        self._turn = turn
        self._counts = counts
        self.ended = False
        """Whether the rest of this choice is to be thrown away."""

    def count(self, kind: str, places: int = 1) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + places

    def end(self, why: str) -> None:
        """Throw the rest away; stop the model too when no other choice still needs it."""
        self.count(why)
        self.ended = True
        if (self._turn.params.n or 1) == 1:
            self._turn.stop_generation = True
