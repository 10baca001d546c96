"""The step `ground`: what surrounds the prompt. Today that is the conversation so far.

Read step.py (what it does to a turn), overlap.py (what the client sent again), block.py (what
belongs together), fit.py (what fits), summary.py (what becomes of what does not).
"""

from headrace.pipeline.steps.ground.step import GroundSettings, GroundStep

__all__ = ["GroundSettings", "GroundStep"]
