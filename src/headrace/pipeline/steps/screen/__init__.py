"""The step `screen`: applies a policy to one side of the model.

Read step.py first, then message.py (prompts), decision.py (what comes of findings), verdict.py (costly
detectors), hold.py (answers that are kept back) and confirm.py (what `ask` asks).
"""

from headrace.pipeline.steps.screen.step import ScreenSettings, ScreenStep

__all__ = ["ScreenSettings", "ScreenStep"]
