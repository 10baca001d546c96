"""The step `refine`: repairs what models leave behind, while the answer streams.

Read step.py (which filters a text gets), filter.py (how they are chained), span.py (what counts
as code), then one file per repair: template_token.py, loop.py, doubled_word.py, whitespace.py,
unfinished.py, typography.py.
"""

from headrace.pipeline.steps.refine.step import RefineSettings, RefineStep

__all__ = ["RefineSettings", "RefineStep"]
