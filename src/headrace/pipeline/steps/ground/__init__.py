"""The step `ground`: what surrounds the prompt, which is the conversation so far and passages.

Passages: read lookup.py (how they get there), query.py (what is searched with), injected.py (what
must not come along), fence.py (how they stand in the prompt). The conversation: read step.py (what it does to a turn), overlap.py (what the client sent again), block.py (what
belongs together), fit.py (what fits), summary.py (what becomes of what does not).
"""

from headrace.pipeline.steps.ground.step import GroundSettings, GroundStep

__all__ = ["GroundSettings", "GroundStep"]
