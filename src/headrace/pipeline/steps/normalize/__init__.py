"""The step `normalize`: what users type and paste, made plain before anything reads it.

Read step.py (what happens to a turn), text.py (the order of repairs), then one file per repair:
encoding.py, invisible.py, compatibility.py, lookalike.py, entity.py, whitespace.py, spelling.py.
passage.py says what counts as code; language.py tells which language a text is in.
"""

from headrace.pipeline.steps.normalize.step import NormalizeSettings, NormalizeStep

__all__ = ["NormalizeSettings", "NormalizeStep"]
