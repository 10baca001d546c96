"""The step `check`: is the answer what was asked for, and do its sources say so?

Read step.py (the checks that look and report), grounded.py (the one that may act), judge.py (how
far the passages support an answer), words.py (what the user is told).
"""

from headrace.pipeline.steps.check.step import CheckSettings, CheckStep

__all__ = ["CheckSettings", "CheckStep"]
