"""Few-shot examples by meaning: those most like what the user wrote, and unlike each other.

Maximal marginal relevance (Carbonell and Goldstein 1998), greedily.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.prompts.example import Examples
from headrace.prompts.file import ExampleEntry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["nearest"]

_LOOKED_AT = 64
"""Candidates, by likeness alone, among which diversity is weighed."""


def nearest(
    examples: Examples,
    language: str | None,
    vector: "NDArray[np.float32]",
    vectors: "NDArray[np.float32]",
) -> Sequence[ExampleEntry]:
    """As many as `most` and `max_tokens` let through; the likest last, next to the question.

    Args:
        vector: of what the user wrote, of unit length.
        vectors: (examples, dimensions), in the order of `examples.entries`.
    """
    import numpy as np

    spec = examples.spec
    fitting = np.array(examples.fitting(language), np.int64)
    likeness = vectors[fitting] @ vector
    # Those too long for the whole budget would only stand in the way.
    room = spec.max_tokens
    order = [
        int(at)
        for at in np.argsort(-likeness, kind="stable")
        if room is None or examples.tokens(examples.entries[fitting[at]]) <= room
    ][:_LOOKED_AT]
    rows = vectors[fitting[order]]
    near = likeness[order]
    doubled = np.full(len(order), 0.0, np.float32)
    """The greatest likeness of each to one that is chosen."""
    left = list(range(len(order)))
    chosen: list[int] = []
    while left and (spec.most is None or len(chosen) < spec.most):
        scores = (1 - spec.diversity) * near[left] - spec.diversity * doubled[left]
        best = left.pop(int(np.argmax(scores)))
        cost = examples.tokens(examples.entries[fitting[order[best]]])
        if room is not None and cost > room:
            continue
        room = None if room is None else room - cost
        chosen.append(best)
        doubled = np.maximum(doubled, rows @ rows[best])
    chosen.sort(key=lambda at: float(near[at]))
    return [examples.entries[fitting[order[at]]] for at in chosen]
